# Baton's sentences, for the native module: one line of errors.txt for each code.
# SPDX-License-Identifier: MIT


def describe(code):
    """The name, the sentence and the next step of a code."""
    wanted = "%d|" % code
    try:
        with open(__file__.rpartition("/")[0] + "/errors.txt") as lines:
            for line in lines:
                if line.startswith(wanted):
                    return tuple(line.rstrip("\n").split("|")[1:])
    except OSError:
        pass
    return "BATON_ERR_%d" % -code, "error %d" % code, ""
