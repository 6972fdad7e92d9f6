"""Records the fixtures of this folder: python3 record.py <envoy binary> <output folder>."""
import glob, os, re, shutil, socket, socketserver, struct, subprocess, sys, tempfile, threading, time

ENVOY, OUT = sys.argv[1], os.path.abspath(sys.argv[2])
HERE = os.path.dirname(os.path.abspath(__file__))
FORMS = {  # one run of Envoy each: (streaming, format, extension)
    "streamed": (True, "JSON_BODY_AS_BYTES", "json"),
    "buffered": (False, "PROTO_BINARY_LENGTH_DELIMITED", "pb_length_delimited"),
}
LARGE = bytes(range(256)) * 12  # 3 KiB, over the 2 KiB that the taps keep


def pause():
    time.sleep(0.1)


class Upstream(socketserver.BaseRequestHandler):
    """Greets, and then answers by what it reads."""

    def handle(self):
        self.request.sendall(b"ready\n")
        while True:
            got = self.request.recv(65536)
            if not got:
                return
            if got.startswith(b"bye"):
                return
            if got.startswith(b"reset"):
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.request.close()
                return
            self.request.sendall(LARGE if got.startswith(b"large") else b"\xff" + got.upper())


def client(port, words, end):
    to = socket.create_connection(("127.0.0.1", port))
    pause()
    for word in words:
        to.sendall(word)
        pause()
    if end == "half":
        to.shutdown(socket.SHUT_WR)
        pause()
    if end == "reset":
        to.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    pause()
    to.close()
    pause()


def socket_tap(prefix, streaming, form):
    return f"""
      transport_socket:
        name: envoy.transport_sockets.tap
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.transport_sockets.tap.v3.Tap
          common_config:
            static_config:
              match: {{ any_match: true }}
              output_config:
                streaming: {str(streaming).lower()}
                max_buffered_rx_bytes: 2048
                max_buffered_tx_bytes: 2048
                sinks: [ {{ format: {form}, file_per_tap: {{ path_prefix: {prefix} }} }} ]
          transport_socket:
            name: envoy.transport_sockets.raw_buffer
            typed_config: {{ "@type": type.googleapis.com/envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer }}"""


def record(name, streaming, form, extension, upstream):
    with tempfile.TemporaryDirectory() as folder:
        config = open(os.path.join(HERE, "envoy.yaml")).read()
        for word, side in (("DOWNSTREAM_TAP", "edge.downstream"), ("UPSTREAM_TAP", "edge.upstream")):
            config = config.replace(word, socket_tap(f"{folder}/{side}.{name}", streaming, form))
        config = config.replace("UPSTREAM_PORT", str(upstream))
        path = os.path.join(folder, "envoy.yaml")
        open(path, "w").write(config)
        log = os.path.join(folder, "log")
        envoy = subprocess.Popen([ENVOY, "-c", path, "--concurrency", "1", "--use-dynamic-base-id", "-l", "debug"],
                                 stderr=open(log, "w"))
        try:
            port = None
            for _ in range(100):
                time.sleep(0.1)
                found = re.search(r"\[edge\].*127\.0\.0\.1:(\d+)|Set listener edge socket factory local address to 127\.0\.0\.1:(\d+)", open(log).read())
                if found and "starting main dispatch loop" in open(log).read():
                    port = int(found[1] or found[2])
                    break
            if not port:
                sys.exit(open(log).read()[-4000:])
            client(port, [b"one", b"two\x00\xff", b"bye"], None)
            client(port, [b"half"], "half")
            client(port, [b"gone"], "reset")
            client(port, [b"reset"], None)
            client(port, [b"large"], None)
        finally:
            envoy.terminate()
            envoy.wait()
        for side in ("downstream", "upstream"):
            files = sorted(glob.glob(f"{folder}/edge.{side}.{name}_*"), key=lambda f: int(re.search(r"_(\d+)\.", f)[1]))
            with open(os.path.join(OUT, f"edge.{side}.{name}.{extension}"), "wb") as to:
                for file in files:
                    shutil.copyfileobj(open(file, "rb"), to)


os.makedirs(OUT, exist_ok=True)
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Upstream)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
for name, (streaming, form, extension) in FORMS.items():
    record(name, streaming, form, extension, server.server_address[1])
