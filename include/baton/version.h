// The version of Baton's programming interface.
// SPDX-License-Identifier: MIT
#ifndef BATON_VERSION_H
#define BATON_VERSION_H

// Raised by semantic versioning: an incompatible change of a public header
// raises the first number. The formats on flash have their own numbers, in
// docs/FORMAT.md.
#define BATON_VERSION_MAJOR  0
#define BATON_VERSION_MINOR  1
#define BATON_VERSION_PATCH  0
#define BATON_VERSION_STRING "0.1.0"

#endif
