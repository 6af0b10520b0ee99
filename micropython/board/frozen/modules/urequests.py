# The name that requests had before.
# SPDX-License-Identifier: MIT
from requests import *
