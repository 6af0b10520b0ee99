# boot.py: the first statement counts the boot of a new version on trial, and
# arms the deadline by which it has to prove itself.
import baton

baton.start(deadline_s=300)
