"""Servers that others wrote, and certificates for them: nginx, openssl."""
# SPDX-License-Identifier: MIT
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

LIMIT_SECONDS = 300

NGINX = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log info;
{user}
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log combined;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port}{tls};
        root {root};
        {more}
    }}
}}
"""


class HeldPort:
    """A free port that nobody else is given before the server of this test has
    it: a socket that is bound and does not listen keeps away all but those who
    ask for this very port."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = self._socket.getsockname()[1]

    def release(self):
        self._socket.close()


def await_port(port, process):
    """Until somebody listens; fails where the process ends before."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert process.poll() is None, f"ended: {process.args}"
            time.sleep(0.02)
    raise RuntimeError(f"nobody listens: {process.args}")


class Process:
    """A server in a process of its own, which ends by itself at last."""

    def __init__(self, command, held, log_path, **options):
        self._held = held
        self.port = port = held.number
        self.log_path = Path(log_path)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["timeout", str(LIMIT_SECONDS), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        try:
            await_port(port, self.process)
        except Exception:
            self.stop()
            print(self.log_path.read_text())
            raise

    def stop(self):
        self.process.terminate()
        self.process.wait(60)
        self._held.release()


class Nginx(Process):
    """Serves a folder, with ranges and strong validators. `more` goes into its
    server block; certificate is (chain file, key file)."""

    def __init__(self, root, folder, certificate=None, more=""):
        folder = Path(folder)
        self.folder = folder
        held = HeldPort()
        tls = " ssl" if certificate else ""
        if certificate:
            more += (f"\n        ssl_certificate {certificate[0]};"
                     f"\n        ssl_certificate_key {certificate[1]};")
        # Its worker would be somebody who cannot read the test's files.
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "conf").write_text(NGINX.format(
            folder=folder, port=held.number, root=root, tls=tls, more=more, user=user))
        self.url = (f"http{'s' if certificate else ''}://127.0.0.1:"
                    f"{held.number}")
        path = shutil.which("nginx") or "/usr/sbin/nginx"
        super().__init__([path, "-c", folder / "conf", "-e",
                          folder / "error.log"], held, folder / "log")

    def access_log(self):
        """A request is written down a moment after its answer was sent."""
        text, until = None, time.monotonic() + 5
        while time.monotonic() < until:
            before, text = text, (self.folder / "access.log").read_text()
            if text == before:
                break
            time.sleep(0.05)
        return text


class OpensslServer(Process):
    """`openssl s_server -WWW` over a folder."""

    def __init__(self, root, log_path, certificate, *args):
        held = HeldPort()
        self.url = f"https://127.0.0.1:{held.number}"
        super().__init__(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{held.number}",
             "-WWW", "-cert", certificate[0], "-key", certificate[1], *args],
            held, log_path, cwd=root)


# ---- Certificates -----------------------------------------------------------

CA_CONFIG = """
[ca]
default_ca = here
[here]
new_certs_dir = {folder}
database = {folder}/index
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth
subjectAltName = {names}
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
"""


class Certificates:
    """A CA in a folder, and what it signs: (certificate file, key file)."""

    def __init__(self, folder, name="Test CA"):
        self.folder = Path(folder)
        self.ca_key = self.folder / "ca.key"
        self.ca = self.folder / "ca.pem"
        self._config("DNS:none")
        (self.folder / "index").write_text("")
        self._new_key(self.ca_key)
        self._openssl("req", "-new", "-x509", "-key", self.ca_key, "-subj",
                      f"/CN={name}", "-days", "3650", "-config",
                      self.folder / "config", "-extensions", "authority",
                      "-out", self.ca)

    def _openssl(self, *args):
        done = subprocess.run(["openssl", *map(str, args)], cwd=self.folder,
                              capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"openssl {args}: {done.stderr}"
        return done.stdout

    def _config(self, names):
        (self.folder / "config").write_text(
            CA_CONFIG.format(folder=self.folder, names=names)
            + "[req]\ndistinguished_name = subject\n[subject]\n")

    def _new_key(self, path):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout",
                      "-out", path)

    def issue(self, label, names="IP:127.0.0.1,DNS:localhost", start=-86400,
              end=86400 * 365, key=None):
        """Signs a server's certificate; start and end are seconds from now."""
        if key is None:
            key = self.folder / f"{label}.key"
            self._new_key(key)
        request = self.folder / f"{label}.csr"
        path = self.folder / f"{label}.pem"
        self._config(names)
        self._openssl("req", "-new", "-key", key, "-subj", f"/CN={label}",
                      "-config", self.folder / "config", "-out", request)
        self._openssl("ca", "-batch", "-notext", "-config",
                      self.folder / "config", "-extensions", "server",
                      "-in", request, "-out", path, "-cert", self.ca,
                      "-keyfile", self.ca_key, "-startdate",
                      self._date(start), "-enddate", self._date(end))
        return path, key

    def self_signed(self, label, names="IP:127.0.0.1,DNS:localhost"):
        key, path = (self.folder / f"{label}{end}" for end in (".key", ".pem"))
        self._new_key(key)
        self._config(names)
        self._openssl("req", "-new", "-x509", "-key", key, "-subj",
                      f"/CN={label}", "-days", "365", "-config",
                      self.folder / "config", "-extensions", "server", "-out",
                      path)
        return path, key

    def pin(self, certificate):
        """SHA-256 of the public key, in hex."""
        public = self._openssl("x509", "-in", certificate[0], "-pubkey",
                               "-noout")
        digest = subprocess.run(
            "openssl pkey -pubin -outform DER | openssl dgst -sha256 -r",
            shell=True, input=public, capture_output=True, text=True,
            check=True).stdout
        return digest.split()[0]

    @staticmethod
    def _date(offset):
        return time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + offset))

    @staticmethod
    def context(certificate):
        """For BadServer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, certificate))
        return context
