"""PURE. The configuration of the upstream and of the peers: one worker, connections to the upstream kept, no logs."""

from tests.bench.proxy.plan import SMALL_BODY, SMALL_PATH

Upstreams = tuple[int, int]

# Defaults that close a connection after 1,000 requests would be measured as errors, or as new connections.
_FOREVER = "keepalive_requests 1000000000;"


def upstream(folder: str, ports: Upstreams, *, root: bool) -> str:
    """The app that costs next to nothing. A POST is answered once its whole body was read."""
    listens = "\n        ".join(f"listen 127.0.0.1:{port} backlog=4096;" for port in ports)
    return _nginx(
        folder,
        root,
        f"""
    sendfile on;
    open_file_cache max=10 inactive=1h;
    client_body_buffer_size 64k;
    upstream body-was-read {{ server unix:{folder}/inner.sock; keepalive 64; {_FOREVER} }}
    server {{
        {listens}
        root {folder};
        location = {SMALL_PATH} {{ return 200 '{SMALL_BODY}'; }}
        location = /readyz {{ return 200 'ok'; }}
        location = /post {{
            proxy_pass http://body-was-read;
            proxy_http_version 1.1;
            proxy_pass_request_headers off;
            proxy_pass_request_body off;
            proxy_set_header Connection "";
            proxy_set_header Content-Length "";
        }}
    }}
    server {{
        listen unix:{folder}/inner.sock;
        return 200 '{SMALL_BODY}';
    }}""",
    )


def nginx(folder: str, port: int, upstreams: Upstreams, *, root: bool) -> str:
    """Buffers are large enough that no body goes through a temporary file."""
    servers = " ".join(f"server 127.0.0.1:{one};" for one in upstreams)
    return _nginx(
        folder,
        root,
        f"""
    client_body_buffer_size 64k;
    proxy_buffer_size 16k;
    proxy_buffers 16 16k;
    proxy_max_temp_file_size 0;
    upstream app {{ {servers} keepalive 1024; {_FOREVER} }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Request-ID $request_id;
        }}
    }}""",
    )


def _nginx(folder: str, root: bool, http: str) -> str:
    temporary = "\n    ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # a worker of another user could not read the folder
    return f"""daemon off;
{"user root;" if root else ""}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    default_type text/plain;
    keepalive_timeout 75s;
    {_FOREVER}
    {temporary}
    {http}
}}
"""


def haproxy(port: int, upstreams: Upstreams) -> str:
    servers = "\n".join(f"    server app{number} 127.0.0.1:{one}" for number, one in enumerate(upstreams, 1))
    return f"""global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 75s
    timeout server 60s
    timeout http-keep-alive 75s
    option forwardfor
    http-reuse always
frontend data
    bind 127.0.0.1:{port} backlog 4096
    unique-id-format %{{+X}}o%ci:%cp-%Ts-%rt
    unique-id-header X-Request-ID
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    default_backend app
backend app
    balance roundrobin
{servers}
"""
