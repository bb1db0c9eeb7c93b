"""The configuration of a lab Asterisk: endpoints of every kind, and extensions that each show one thing.

Fixed ports on an address of the instance's own:

    8088 ws (http)   8089 wss (https)   5060 udp and tcp   5061 tls   5038 manager   10000-10198 RTP
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

WS_PORT, WSS_PORT, SIP_PORT, SIPS_PORT, MANAGER_PORT = 8088, 8089, 5060, 5061, 5038
RTP_PORTS = range(10000, 10199)
MANAGER_SECRET = "lab-manager"
INSIDE = "/lab"  # where the instance's directory is seen from inside the root


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One endpoint: its settings beyond the common ones, and those of its address of record."""

    password: str
    endpoint: str = ""
    aor: str = "max_contacts=3\nremove_existing=yes"
    auth: str = ""


ACCOUNTS: Mapping[str, Account] = {
    # 1001 is plain RTP and has the mailbox; 1002 is of the original system's kind (DTLS-SRTP, ICE).
    "1001": Account(password="secret-1001", endpoint="mailboxes=1001@default"),
    "1002": Account(password="secret-1002", endpoint="webrtc=yes\ndtls_auto_generate_cert=yes"),
    "1003": Account(password="secret-1003", endpoint="media_encryption=sdes"),
    "1004": Account(password="secret-1004"),
    "1005": Account(password="secret-1005", aor="max_contacts=1\nremove_existing=no"),
    # 1007 may hold one contact, as at the original's PBX: `PJSIP/1007` always rings the newest one.
    "1007": Account(password="secret-1007", aor="max_contacts=1\nremove_existing=yes"),
    "1006": Account(password="secret-1006", endpoint="rtp_timeout=0\ntimers=always\ntimers_min_se=90"),
    # 1008 has no wideband, 1009 likes it best: an answer of Asterisk is in the order of `allow`.
    "1008": Account(password="secret-1008", endpoint="allow=!all,ulaw,alaw"),
    "1009": Account(password="secret-1009", endpoint="allow=!all,g722,ulaw,alaw"),
    # 1010 is told of a hold (sendonly) where others hear the PBX's music.
    "1010": Account(password="secret-1010", endpoint="allow=!all,g722,ulaw,alaw\nmoh_passthrough=yes"),
}

EXTENSIONS: Mapping[str, tuple[str, ...]] = {
    "600": ("Answer()", "Echo()"),
    "601": ("Answer()", "Playback(demo-congrats)", "Hangup()"),
    # What was dialled is said back, kept in the database (`database get lab digits`) and in the console.
    "602": (
        "Answer()",
        "Read(digits,,0,,1,4)",
        "Set(DB(lab/digits)=${digits})",
        "Verbose(0,602 read ${digits})",
        "SayDigits(${digits})",
        "Hangup()",
    ),
    "603": ("Busy(5)",),
    "604": ("Ringing()", "Wait(60)"),
    "605": ("Progress()", "Playback(demo-congrats,noanswer)", "Congestion(5)"),
    "606": ("Answer()", "Milliwatt()"),
    "607": ("Answer()", "Wait(3)", "Hangup()"),
    "608": ("Ringing()", "Wait(1)", "Answer()", "MusicOnHold()"),
    "609": ("Hangup(21)",),
    "610": ("Answer()", "Wait(60)"),
    "611": ("Answer()", "VoiceMail(1001@default,s)", "Hangup()"),
    # Both are 16 kHz: what a test put into `whistle.sln16` of the instance's directory, and what is heard from us.
    "612": ("Answer()", f"MixMonitor({INSIDE}/heard.sln16)", f"Playback({INSIDE}/whistle)", "Hangup()"),
}

# Loading only these halves the start and keeps out what a lab never needs.
_MODULES = """
pbx_config func_callerid func_channel func_db func_logic func_strings func_pjsip_endpoint func_pjsip_contact
app_dial app_echo app_playback app_read app_milliwatt app_verbose app_voicemail app_senddtmf app_record app_mixmonitor
app_playtones app_originate app_transfer app_queue app_confbridge app_directed_pickup app_stack
bridge_simple bridge_native_rtp bridge_softmix bridge_builtin_features bridge_holding
codec_ulaw codec_alaw codec_g722 codec_gsm codec_resample codec_a_mu
format_gsm format_wav format_pcm format_sln
res_timing_timerfd res_musiconhold res_crypto res_srtp res_rtp_asterisk res_http_websocket res_clioriginate
res_parking res_mwi_devstate
res_sorcery_config res_sorcery_memory res_sorcery_astdb
res_pjproject res_pjsip res_pjsip_session chan_pjsip res_pjsip_sdp_rtp res_pjsip_transport_websocket
res_pjsip_authenticator_digest res_pjsip_outbound_authenticator_digest res_pjsip_registrar res_pjsip_path
res_pjsip_endpoint_identifier_user res_pjsip_endpoint_identifier_ip res_pjsip_caller_id res_pjsip_nat
res_pjsip_dtmf_info res_pjsip_rfc3326 res_pjsip_header_funcs res_pjsip_logger res_pjsip_dlg_options
res_pjsip_acl res_pjsip_diversion res_pjsip_messaging res_pjsip_refer res_pjsip_empty_info
res_pjsip_pubsub res_pjsip_outbound_publish res_pjsip_mwi res_pjsip_mwi_body_generator res_pjsip_exten_state
res_pjsip_dialog_info_body_generator res_pjsip_pidf_body_generator res_pjsip_one_touch_record_info
res_manager_devicestate res_stasis res_stasis_device_state
"""


def files(address: str, *, modules: str, accounts: Mapping[str, Account] = ACCOUNTS, extra: str = "") -> dict[str, str]:
    """The files of an instance's configuration directory; `modules` is inside the root, `extra` ends pjsip.conf."""
    return {
        "asterisk.conf": _asterisk_conf(modules),
        "modules.conf": "[modules]\nautoload=no\n" + "".join(f"load={name}.so\n" for name in _MODULES.split()),
        "logger.conf": "[general]\ndateformat=%F %T.%3q\n[logfiles]\n"
        "console => notice,warning,error\nfull => notice,warning,error,verbose,dtmf\n",
        "http.conf": f"[general]\nenabled=yes\nbindaddr={address}\nbindport={WS_PORT}\ntlsenable=yes\n"
        f"tlsbindaddr={address}:{WSS_PORT}\n"
        f"tlscertfile={INSIDE}/tls/server.pem\ntlsprivatekey={INSIDE}/tls/server.key\n",
        "rtp.conf": f"[general]\nrtpstart={RTP_PORTS.start}\nrtpend={RTP_PORTS.stop - 1}\nicesupport=yes\n"
        "strictrtp=yes\n",
        "manager.conf": f"[general]\nenabled=yes\nbindaddr={address}\nport={MANAGER_PORT}\nwebenabled=no\n"
        f"[lab]\nsecret={MANAGER_SECRET}\nread=all\nwrite=all\nwritetimeout=5000\n",
        "musiconhold.conf": "[default]\nmode=playlist\nentry=/usr/share/asterisk/sounds/en/demo-congrats\n",
        "voicemail.conf": "[general]\nformat=wav\nminsecs=0\n[default]\n1001 => 1234,Front Desk\n",
        "confbridge.conf": "[general]\n",
        "features.conf": "[general]\n",
        "res_parking.conf": "[default]\nparkext => 700\nparkpos => 701-710\ncontext => parkedcalls\n",
        "queues.conf": "[general]\n",
        "indications.conf": "[general]\ncountry=uk\n[uk]\ndescription=United Kingdom\nringcadence=400,200,400,2000\n"
        "dial=350+440\nbusy=400/375,0/375\nring=400+450/400,0/200,400+450/400,0/2000\ncongestion=400/400,0/350\n",
        **{f"{name}.conf": "[general]\n" for name in ("acl", "cel", "stasis", "pjproject", "queuerules", "udptl")},
        "cdr.conf": "[general]\nenable=no\n",
        "extensions.conf": _extensions_conf(accounts),
        "pjsip.conf": _pjsip_conf(address, accounts) + extra,
    }


def _asterisk_conf(modules: str) -> str:
    return f"""[directories]
astetcdir => {INSIDE}/etc
astmoddir => {modules}
astvarlibdir => {INSIDE}/lib
astdbdir => {INSIDE}/lib
astkeydir => {INSIDE}/lib
astdatadir => /usr/share/asterisk
astspooldir => {INSIDE}/spool
astrundir => {INSIDE}/run
astlogdir => {INSIDE}/log

[options]
verbose = 3
dontwarn = yes
nocolor = yes
hideconnect = yes
"""


def _extensions_conf(accounts: Mapping[str, Account]) -> str:
    lines = ["[general]", "autofallthrough=yes", "[default]"]
    for extension, applications in EXTENSIONS.items():
        lines += [f"exten => {extension},{n},{what}" for n, what in enumerate(applications, 1)]
    lines += [
        # An account behind 81 or 82: rung with the mark of a colleague, or of somebody from outside.
        "exten => _81XXXX,1,Dial(PJSIP/${EXTEN:2},30,b(alert^internal^1))",
        "exten => _82XXXX,1,Dial(PJSIP/${EXTEN:2},30,b(alert^external^1))",
        "exten => _1XXX,1,Dial(PJSIP/${EXTEN},30)",
        "exten => _1XXX,n,Goto(${DIALSTATUS},1)",
        "exten => BUSY,1,Busy(5)",
        "exten => _[A-Z].,1,Hangup()",
        *(f"exten => {name},hint,PJSIP/{name}" for name in accounts),
        "include => parkedcalls",
        "[parkedcalls]",
        "[alert]",
        "exten => internal,1,Set(PJSIP_HEADER(add,Alert-Info)=<http://127.0.0.1>\\;info=alert-internal)",
        "exten => internal,n,Return()",
        "exten => external,1,Set(PJSIP_HEADER(add,Alert-Info)=<urn:alert:source:external>)",
        "exten => external,n,Return()",
    ]
    return "\n".join(lines) + "\n"


def _pjsip_conf(address: str, accounts: Mapping[str, Account]) -> str:
    tls = f"cert_file={INSIDE}/tls/server.pem\npriv_key_file={INSIDE}/tls/server.key\nmethod=tlsv1_2\n"
    sections = [
        "[global]\ntype=global\nuser_agent=Lab PBX\n",
        f"[transport-udp]\ntype=transport\nprotocol=udp\nbind={address}:{SIP_PORT}\n",
        f"[transport-tcp]\ntype=transport\nprotocol=tcp\nbind={address}:{SIP_PORT}\n",
        f"[transport-tls]\ntype=transport\nprotocol=tls\nbind={address}:{SIPS_PORT}\n{tls}",
        f"[transport-ws]\ntype=transport\nprotocol=ws\nbind={address}\n",
        f"[transport-wss]\ntype=transport\nprotocol=wss\nbind={address}\n",
    ]
    for name, account in accounts.items():
        sections += [_endpoint(name, address, account), _aor(name, account), _auth(name, account)]
    return "\n".join(sections)


def _endpoint(name: str, address: str, account: Account) -> str:
    return (
        f"[{name}]\ntype=endpoint\ncontext=default\nallow=!all,ulaw,alaw,g722\naors={name}\nauth={name}-auth\n"
        "direct_media=no\nrtp_symmetric=yes\nforce_rport=yes\nrewrite_contact=yes\nsend_pai=yes\n"
        f"media_address={address}\nbind_rtp_to_media_address=yes\ncallerid=Desk {name} <{name}>\n"
        f"allow_subscribe=yes\nsubscribe_context=default\n{account.endpoint}\n"
    )


def _aor(name: str, account: Account) -> str:
    return f"[{name}]\ntype=aor\nminimum_expiration=10\ndefault_expiration=600\n{account.aor}\n"


def _auth(name: str, account: Account) -> str:
    credentials = f"username={name}\npassword={account.password}\n"
    return f"[{name}-auth]\ntype=auth\nauth_type=userpass\n{credentials}{account.auth}\n"
