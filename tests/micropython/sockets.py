# The modules network and socket, over the loopback.
import errno
import network
import select
import socket
import time
import _thread


def show(what, call, *args, **kw):
    try:
        print(what, call(*args, **kw))
    except Exception as exc:
        print(what, type(exc).__name__, exc.args)


sta = network.WLAN(network.STA_IF)
ap = network.WLAN(network.WLAN.IF_AP)
show("same", lambda: (network.WLAN() is sta, network.WLAN(0) is sta))
show("no such interface", network.WLAN, 2)
show("inactive", lambda: (sta.active(), sta.isconnected(), sta.status() == network.STAT_IDLE))
show("connect while inactive", sta.connect, "net", "key")
show("no network: a name", socket.getaddrinfo, "example.com", 80)
show("no network: an address", socket.socket().connect, ("192.168.4.2", 80))
show("activate", sta.active, True)
show("addresses", sta.ifconfig)
show("connect", sta.connect, "net", "key")
show("connected", lambda: (sta.isconnected(), sta.status() == network.STAT_GOT_IP))
show("mac", lambda: (len(sta.config("mac")), ap.config("mac")[5] - sta.config("mac")[5]))
show("ssid", lambda: (sta.config("ssid"), sta.config("essid")))
show("unknown", sta.config, "nonsense")
show("hostname", lambda: (network.hostname(), network.hostname("clock"), network.hostname()))
show("ipconfig", lambda: (sta.ipconfig("addr4"), sta.ipconfig("dhcp4")))
show("scan", lambda: [(n[0], len(n)) for n in sta.scan()])
show("rssi", sta.status, "rssi")
show("power saving", lambda: sta.config(pm=sta.PM_NONE))

# A server and a client, with plain tuples.
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", 0))
show("bind and listen", server.listen, 1)
server.settimeout(0.05)
show("accept in vain", server.accept)
server.setblocking(False)
show("accept at once", server.accept)
server.close()

show("getaddrinfo", socket.getaddrinfo, "127.0.0.1", 8080)
show("getaddrinfo, stream", socket.getaddrinfo, "127.0.0.1", 80, 0, socket.SOCK_STREAM)
show("refused", socket.socket().connect, ("127.0.0.1", 1))
show("a name where a tuple belongs", socket.socket().connect, "127.0.0.1")
show("unconnected", socket.socket().recv, 1)

PORT = 0
for PORT in range(20000, 20100):
    server = socket.socket()
    try:
        server.bind(("127.0.0.1", PORT))
        break
    except OSError as exc:
        assert exc.errno == errno.EADDRINUSE
server.listen(1)


def serve():
    conn, peer = server.accept()
    print("server got", conn.readline(), peer[0])
    conn.send(b"hello ")
    time.sleep_ms(20)
    conn.sendall(b"world\nrest")
    conn.close()


_thread.start_new_thread(serve, ())
client = socket.socket()
client.settimeout(5)
client.connect(("127.0.0.1", PORT))
client.write(b"who is there\r\n")
poll = select.poll()
poll.register(client, select.POLLIN)
print("poll", [event for _, event in poll.poll(2000)])
print(client.readline(), client.read(2), client.recv(100), client.recv(1), client.read())
client.close()
show("closed", lambda: client.fileno())
server.close()

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", PORT))
print("select", [len(x) for x in select.select([udp], [udp], [], 0)],
      select.select([udp], [], [], 0.02))
print("sent", udp.sendto(b"datagram", ("127.0.0.1", PORT)))
print("received", udp.recvfrom(100)[0])
udp.settimeout(0.02)
show("timeout", udp.recv, 1)
udp.close()

show("disconnect", sta.disconnect)
show("disconnected", sta.isconnected)
show("access point", lambda: (ap.active(True), ap.ifconfig()[0], ap.config("ssid")))
