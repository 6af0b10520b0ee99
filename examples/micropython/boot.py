# boot.py: runs at every start. Looks for a new firmware, then goes on.
import ota_pull

ota_pull.main()
