"""Records the fixtures of this folder: python3 record.py <envoy binary> <output folder>."""
import glob, os, re, shutil, socket, socketserver, subprocess, sys, tempfile, threading, time

ENVOY, OUT = sys.argv[1], os.path.abspath(sys.argv[2])
HERE = os.path.dirname(os.path.abspath(__file__))
FORMS = {  # folder: (streaming, format)
    "streamed-json": (True, "JSON_BODY_AS_BYTES"),
    "streamed-delimited": (True, "PROTO_BINARY_LENGTH_DELIMITED"),
    "streamed-json-string": (True, "JSON_BODY_AS_STRING"),
    "buffered-json": (False, "JSON_BODY_AS_BYTES"),
    "buffered-json-string": (False, "JSON_BODY_AS_STRING"),
    "buffered-delimited": (False, "PROTO_BINARY_LENGTH_DELIMITED"),
    "buffered-binary": (False, "PROTO_BINARY"),
    "buffered-text": (False, "PROTO_TEXT"),
}
LARGE = bytes(range(256)) * 24  # 6 KiB, over the 2 KiB that the taps keep

RESPONSES = {
    b"/plain": b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 5\r\n\r\nplain",
    b"/bytes": b"HTTP/1.1 200 OK\r\nx-raw: \xff\xfe\r\ncontent-length: 4\r\n\r\n\xff\x00\xfe\n",
    b"/chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n|3\r\ntwo\r\n|0\r\n\r\n",
    b"/trailers": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-after: 1\r\nx-after: 2\r\n\r\n",
    b"/large": b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(LARGE), LARGE),
    b"/unicode": "HTTP/1.1 200 OK\r\nx-name: Grüße\r\ncontent-length: 7\r\n\r\nGrüße".encode(),
    b"/head": b"HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
    b"/missing": b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
    b"/reset": b"",
    b"/cut": b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nnot a thousand",
}
REQUESTS = [
    b"GET /plain HTTP/1.1\r\nhost: app\r\nx-dup: 1\r\nX-Dup: 2\r\nx-empty:\r\nx-dup: 1\r\n\r\n",
    b"GET /bytes HTTP/1.1\r\nhost: app\r\nx-raw: \xff\xfe\r\n\r\n",
    b"POST /chunked HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n|6\r\nsecond\r\n|0\r\n\r\n",
    b"POST /trailers HTTP/1.1\r\nhost: app\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nx-sum: 7\r\n\r\n",
    b"POST /large HTTP/1.1\r\nhost: app\r\ncontent-length: %d\r\n\r\n%b" % (len(LARGE), LARGE),
    "GET /unicode HTTP/1.1\r\nhost: app\r\nx-name: Grüße\r\n\r\n".encode(),
    b"HEAD /head HTTP/1.1\r\nhost: app\r\n\r\n",
    b"GET /missing HTTP/1.1\r\nhost: app\r\n\r\n",
    b"GET /reset HTTP/1.1\r\nhost: app\r\n\r\n",
    b"GET /cut HTTP/1.1\r\nhost: app\r\n\r\n",
]


def send(to, data):
    """`|` in chunked messages stands for a pause, so that a chunk crosses the proxy alone."""
    for part in data.split(b"|") if b"chunked\r\n" in data else [data]:
        to.sendall(part)
        time.sleep(0.15)


class Upstream(socketserver.BaseRequestHandler):
    def handle(self):
        got = b""
        while b"\r\n\r\n" not in got:
            part = self.request.recv(65536)
            if not part:
                return
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        while (b"chunked" in head and not body.endswith(b"\r\n\r\n")) or (length and len(body) < int(length[1])):
            body += self.request.recv(65536)
        send(self.request, RESPONSES[head.split(b" ")[1].split(b"?")[0]])


def tap(folder, streaming, form):
    return f"""
          - name: envoy.filters.http.tap
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.tap.v3.Tap
              record_headers_received_time: true
              record_downstream_connection: true
              record_upstream_connection: true
              common_config:
                static_config:
                  match: {{ any_match: true }}
                  output_config:
                    streaming: {str(streaming).lower()}
                    max_buffered_rx_bytes: 2048
                    max_buffered_tx_bytes: 2048
                    sinks: [ {{ format: {form}, file_per_tap: {{ path_prefix: "{work}/{folder}/t" }} }} ]"""


def exchange(port, request):
    with socket.create_connection(("127.0.0.1", port)) as client:
        send(client, request)
        client.settimeout(0.7)
        try:
            while client.recv(65536):
                pass
        except TimeoutError:
            pass


work = tempfile.mkdtemp()
upstream = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Upstream)
upstream.daemon_threads = True
threading.Thread(target=upstream.serve_forever, daemon=True).start()
config = open(f"{HERE}/envoy.yaml").read()
config = config.replace("TAPS", "".join(tap(f, *FORMS[f]) for f in FORMS)[1:]).replace("UPSTREAM", str(upstream.server_address[1]))
config += f"admin:\n  address: {{ socket_address: {{ address: 127.0.0.1, port_value: 0 }} }}\n"
open(f"{work}/envoy.yaml", "w").write(config)
for folder in FORMS:
    os.mkdir(f"{work}/{folder}")
log = open(f"{work}/log", "wb")
envoy = subprocess.Popen([ENVOY, "-c", f"{work}/envoy.yaml", "--concurrency", "1", "--use-dynamic-base-id",
                          "--admin-address-path", f"{work}/admin"], stderr=log)
try:
    port = None
    for _ in range(100):
        time.sleep(0.1)
        if os.path.exists(f"{work}/admin"):
            host, admin = open(f"{work}/admin").read().rsplit(":", 1)
            with socket.create_connection((host, int(admin))) as s:
                s.sendall(b"GET /listeners HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                port = re.search(rb"::127\.0\.0\.1:(\d+)", b"".join(iter(lambda: s.recv(4096), b"")))
            if port:
                break
    seen = set()
    for number, request in enumerate(REQUESTS, 1):
        exchange(int(port[1]), request)
        time.sleep(0.3)
        for folder, (streaming, form) in FORMS.items():
            [new] = set(glob.glob(f"{work}/{folder}/*")) - seen
            seen.add(new)
            extension = new.rsplit(".", 1)[1]
            os.makedirs(f"{OUT}/{folder}", exist_ok=True)
            if number == 1:  # what Envoy named it, once
                os.makedirs(f"{OUT}/per-trace", exist_ok=True)
                kind = "streamed" if streaming else "buffered"
                trace = re.search(r"_(\d+)\.", new)[1]
                if folder in ("streamed-json", "buffered-delimited"):
                    shutil.copy(new, f"{OUT}/per-trace/front.outbound.{kind}_{trace}.{extension}")
            if form in ("PROTO_BINARY", "PROTO_TEXT"):  # one message a file
                if number == 1:
                    shutil.copy(new, f"{OUT}/{folder}/front.outbound.buffered.{extension}")
                continue
            name = f"{OUT}/{folder}/front.outbound.{'streamed' if streaming else 'buffered'}.{extension}"
            with open(name, "wb" if number == 1 else "ab") as out:
                out.write(open(new, "rb").read())
finally:
    envoy.terminate()
    envoy.wait()
    upstream.shutdown()
    print(open(f"{work}/log").read()[-2000:] if not port else "recorded")
    shutil.rmtree(work)
