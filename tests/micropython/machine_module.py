# The module machine, as far as one boot goes.
import machine
import time
from machine import RTC, Pin, Signal, Timer, WDT
from neopixel import NeoPixel


def show(what, call, *args, **kw):
    try:
        print(what, call(*args, **kw))
    except Exception as exc:
        print(what, type(exc).__name__, exc.args)


print("causes", machine.PWRON_RESET, machine.HARD_RESET, machine.WDT_RESET,
      machine.DEEPSLEEP_RESET, machine.SOFT_RESET)
print("cause", machine.reset_cause(), machine.wake_reason())
print("id", len(machine.unique_id()), machine.unique_id()[:3])
show("freq", machine.freq)
show("freq set", machine.freq, 240000000)
show("freq", machine.freq)
show("freq wrong", machine.freq, 123)
show("idle", machine.idle)
show("lightsleep", machine.lightsleep, 1)
show("irq", lambda: machine.enable_irq(machine.disable_irq()))

led = Pin(2, Pin.OUT)
show("pin", lambda: led)
show("values", lambda: (led.value(), led.value(1), led(), led(0), led.value()))
led.on()
show("on", led)
led.off()
show("off", led)
led.toggle()
show("toggle", led.value)
show("same object", lambda: Pin(2) is led)
show("value at init", lambda: Pin(4, Pin.OUT, value=1)())
show("pull-up", lambda: Pin(5, Pin.IN, Pin.PULL_UP).value())
show("no pull", lambda: Pin(18, Pin.IN).value())
show("boot button", lambda: Pin(0, Pin.IN).value())
show("irq", lambda: Pin(0).irq(trigger=Pin.IRQ_FALLING, handler=print))
show("no such pin", Pin, 99)
show("input only", Pin, 34, Pin.OUT)
signal = Signal(led, invert=True)
signal.on()
show("signal", lambda: (signal.value(), led.value()))

pixels = NeoPixel(Pin(16), 2)
pixels[0] = (1, 2, 3)
pixels.write()
show("pixels", lambda: (pixels[0], pixels[1], bytes(pixels.buf)))

rtc = RTC()
show("memory", rtc.memory)
show("memory set", rtc.memory, b"kept")
show("memory", rtc.memory)
show("memory too long", rtc.memory, bytes(2049))
rtc.datetime((2031, 2, 3, 0, 4, 5, 6, 0))
print("time", time.localtime()[:5], rtc.datetime()[:5], len(time.localtime()))
show("epoch", time.mktime, (2000, 1, 1, 0, 0, 0, 0, 0))
show("localtime", time.localtime, 86400)
show("back", lambda: time.mktime(time.gmtime(1234567)))
print("whole seconds", type(time.time()))

# Timers: one-shot, periodic, stopped.
rings = []
Timer(0).init(mode=Timer.ONE_SHOT, period=20, callback=lambda t: rings.append("once"))
tick = Timer(1)
tick.init(period=10, callback=lambda t: rings.append("tick"))
print(Timer(0), tick)
show("no such timer", Timer, 4)
while rings.count("tick") < 3 or "once" not in rings:
    time.sleep_ms(5)
tick.deinit()
print("rings", rings.count("once"), rings.count("tick") >= 3)
count = len(rings)
time.sleep_ms(50)
print("stopped", len(rings) == count)

show("watchdog id", WDT, 1)
show("watchdog timeout", WDT, timeout=0)
