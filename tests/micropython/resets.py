# What outlives a boot, and what each boot is told of the one before.
import machine
import time
from machine import RTC, WDT

rtc = RTC()
step = len(rtc.memory())
print(step, "cause", machine.reset_cause(), "wake", machine.wake_reason())
rtc.memory(rtc.memory() + b"+")
if step == 0:
    machine.reset()
elif step == 1:
    machine.deepsleep(1500)
elif step == 2:
    machine.soft_reset()
elif step == 3:
    # Fed in time, then not any more.
    watchdog = WDT(timeout=400)
    for _ in range(4):
        time.sleep_ms(150)
        watchdog.feed()
    print("fed")
    while True:
        pass
elif step == 4:
    # A script that has ended feeds nobody either.
    WDT(0, 100)
elif step == 5:
    # Nor does one that hangs in C.
    WDT(timeout=100)
    time.sleep(3600)
elif step == 6:
    machine.deepsleep(0)
elif step == 7:
    raise SystemExit
else:
    print("end")
