"""Messages of the kinds a phone meets, shared by the tests of this room and by the fuzzer."""

from pathlib import Path

TORTURE = Path(__file__).parent / "rfc4475"


def crlf(text: str) -> bytes:
    """Text written with bare line feeds as it travels."""
    return text.replace("\n", "\r\n").encode()


SDP = "v=0\no=- 1 1 IN IP4 192.0.2.4\ns=-\nc=IN IP4 192.0.2.4\nt=0 0\nm=audio 4000 RTP/AVP 0 8 101\n"

INVITE = crlf(
    "INVITE sip:bob@biloxi.example.com;user=phone SIP/2.0\n"
    "Via: SIP/2.0/WSS df7jal23ls0d.invalid;branch=z9hG4bK56sdasks;rport\n"
    "Via: SIP/2.0/UDP [2001:db8::9:1]:5070;received=192.0.2.1;rport=9988;branch=z9hG4bKnashds8\n"
    "Max-Forwards: 70\n"
    'To: "Bob \\"B\\" Biloxi" <sip:bob@biloxi.example.com>\n'
    "From: Alice <sip:alice@atlanta.example.com>;tag=1928301774\n"
    "Call-ID: a84b4c76e66710@pc33.atlanta.example.com\n"
    "CSeq: 314159 INVITE\n"
    "Contact: <sip:alice@df7jal23ls0d.invalid;transport=ws>;"
    '+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>";reg-id=1;expires=60\n'
    "Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\n"
    "Record-Route: <sip:p1.example.com;lr>\n"
    "Supported: outbound, path, 100rel, timer\n"
    "Require: replaces\n"
    "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS\n"
    "Session-Expires: 1800;refresher=uac\n"
    "Replaces: 98asjd8@test;to-tag=12345;from-tag=54321;early-only\n"
    'Reason: SIP;cause=200;text="Call completed elsewhere", Q.850;cause=16\n'
    "Subject: \n"
    "Expires: 120\n"
    "Content-Type: application/sdp;charset=utf-8\n"
    f"Content-Length: {len(crlf(SDP))}\n"
    "\n"
) + crlf(SDP)

RESPONSE = crlf(
    "SIP/2.0 503 Service Unavailable\n"
    "v: SIP/2.0/TLS client.example.com:5061;branch=z9hG4bK74bf9;received=192.0.2.101\n"
    "f: <sip:alice@atlanta.example.com>;tag=9fxced76sl\n"
    "t: <sip:bob@biloxi.example.com>;tag=8321234356\n"
    "i: 3848276298220188511@atlanta.example.com\n"
    "CSeq: 2 INVITE\n"
    "Retry-After: 18000 (in a \\(long\\) meeting);duration=3600\n"
    'Warning: 370 devnull "Choose a bigger pipe", 301 isi.edu "Incompatible address type"\n'
    'WWW-Authenticate: Digest realm="atlanta, Inc.", nonce="f84f1cec41e6cbe5aea9c8e88d359", qop="auth,auth-int"\n'
    "WWW-Authenticate: Basic realm=x\n"
    "Date: Sat, 13 Nov 2010 23:29:00 GMT\n"
    "l: 0\n"
    "\n"
)

NOTIFY = crlf(
    "NOTIFY sip:alice@192.0.2.9:5060;transport=ws SIP/2.0\n"
    "Via: SIP/2.0/WS 192.0.2.7:8088;branch=z9hG4bKPj1;rport;alias\n"
    "From: <sip:1002@pbx.example.com>;tag=a\n"
    "To: <sip:1001@pbx.example.com>;tag=b\n"
    "Call-ID: 77asjd@pbx\n"
    "CSeq: 4711 NOTIFY\n"
    "Event: dialog;id=7\n"
    "Subscription-State: terminated;reason=probation;retry-after=30\n"
    "Refer-To: <sip:bob@example.com?Replaces=12345%40192.0.2.3%3Bto-tag%3D12345%3Bfrom-tag%3D5FFE-3994>\n"
    "RSeq: 988789\n"
    "RAck: 776656 1 INVITE\n"
    "Contact: <sip:[2001:db8::7]:8088;transport=ws>\n"
    "Content-Type: application/dialog-info+xml\n"
    "\n"
    "<dialog-info/>"
)

REGISTER = crlf(
    "REGISTER sips:[2001:db8::1]:5061 SIP/2.0\n"
    "Via: SIP/2.0/TLS pc33.example.com;branch=z9hG4bKkjshdyff\n"
    "To: Bob <sips:bob@example.com>\n"
    "From: Bob <sips:bob@example.com>;tag=456248\n"
    "Max-Forwards: 70\n"
    "Call-ID: 843817637684230@998sdasdh09\n"
    "CSeq: 1826 REGISTER\n"
    "Contact: *\n"
    "Expires: 0\n"
    "Content-Length: 0\n"
    "\n"
)

ORDINARY = (INVITE, RESPONSE, NOTIFY, REGISTER)


def torture() -> dict[str, bytes]:
    """The messages of RFC 4475 by name, bit-exact from the archive in its Appendix A."""
    return {path.stem: path.read_bytes() for path in sorted(TORTURE.glob("*.dat"))}
