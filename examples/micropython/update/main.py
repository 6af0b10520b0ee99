# main.py: look for a new version, then do the device's work.
import network, time, baton

wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect("workshop", "secret")
for _ in range(100):
    if not wlan.isconnected():
        time.sleep_ms(100)
try:  # keeps a new version once the server has answered; then looks for another
    baton.update("http://192.168.4.2:8000/stable.jws", keys="X.Y", product="lamp")
except Exception as exc:
    print("no update:", exc, getattr(exc, "hint", ""))
import app  # what the device is for
