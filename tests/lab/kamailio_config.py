"""The configuration of a lab Kamailio: first hop and registrar with RFC 5626 and RFC 5627, in front of an Asterisk.

    phone ══ ws 8088, tcp and udp 5060 ══ Kamailio ══ udp 5060 ══ Asterisk

Requests of phones go to Asterisk, those of Asterisk to the contacts registered: one flow of each instance, and the next
one where that fails. A contact ends with its connection.
"""

from __future__ import annotations

from tests.lab.asterisk_config import SIP_PORT, WS_PORT

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules"
TRUNK = "edge"
"""What Asterisk calls it."""

_CONFIG = """#!KAMAILIO
debug=2
log_stderror=yes
children=2
tcp_children=2
auto_aliases=no
dns=no
rev_dns=no
tcp_connection_lifetime=3605
tcp_accept_no_cl=yes
tcp_accept_aliases=no
listen=udp:{address}:{sip}
listen=tcp:{address}:{sip}
listen=tcp:{address}:{ws}
alias="{domain}"
mpath="{modules}"
loadmodule "kex.so"
loadmodule "corex.so"
loadmodule "ctl.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "outbound.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "nathelper.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
modparam("ctl", "binrpc", "unix:{directory}/control")
modparam("tm", "fr_timer", 3000)
modparam("tm", "failure_reply_mode", 3)
modparam("tm", "contacts_avp", "tm_contacts")
modparam("tm", "contact_flows_avp", "tm_flows")
modparam("rr", "append_fromtag", 0)
modparam("rr", "enable_full_lr", 1)
modparam("usrloc", "db_mode", 0)
modparam("usrloc", "handle_lost_tcp", 1)
modparam("usrloc", "timer_interval", 10)
modparam("registrar", "outbound_mode", {outbound})
modparam("registrar", "gruu_enabled", {gruu})
modparam("registrar", "flow_timer", {flow_timer})
modparam("registrar", "min_expires", 10)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "received_avp", "$avp(received)")
modparam("nathelper", "received_avp", "$avp(received)")
modparam("websocket", "keepalive_mechanism", 0)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("REGISTER")) {{ route(REGISTER); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) route(ONWARD); exit; }}
    if (has_totag()) {{ route(WITHIN); exit; }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (!is_method("ACK")) t_check_trans();
    record_route();
    route(ONWARD);
}}

route[REGISTER] {{
    if (!pv_auth_check("{domain}", "{password}", "0", "0")) {{ auth_challenge("{domain}", "0"); exit; }}
    fix_nated_register();
    if (!save("location")) sl_reply_error();
}}

route[WITHIN] {{
    $var(flow) = loose_route();
    if ($var(flow) == -1 && !is_method("ACK")) {{ sl_send_reply("404", "Not here"); exit; }}
    if (is_method("INVITE")) record_route();
    if ($var(flow) == 2) {{
        t_on_failure("FLOW_GONE");
        if (!t_relay()) sl_send_reply("430", "Flow Failed");
        exit;
    }}
    route(ONWARD);
}}

route[ONWARD] {{
    if ($si == "{pbx}") {{
        if ($rd == "{domain}" || $rd == "{address}") {{
            if (is_method("CANCEL")) {{ t_relay(); exit; }}
            if (!lookup("location")) {{
                if (is_method("ACK")) exit;
                sl_send_reply("480", "Temporarily Unavailable"); exit;
            }}
            if (!is_method("ACK")) {{
                t_load_contacts();
                t_next_contacts();
                t_on_branch_failure("next-flow");
            }}
        }}
        if (!t_relay()) sl_reply_error();
        exit;
    }}
    if ($rd == "{domain}" || $rd == "{address}") $ru = "sip:" + $rU + "@{pbx}:{sip}";
    if (!t_relay()) sl_reply_error();
}}

event_route[tm:branch-failure:next-flow] {{
    if (t_check_status("(408)|(430)|(477)|(5..)") && t_next_contact_flow()) {{
        t_on_branch_failure("next-flow");
        t_relay();
    }}
}}

failure_route[FLOW_GONE] {{
    if (!t_is_canceled() && t_check_status("(408)|(477)")) t_reply("430", "Flow Failed");
}}

event_route[xhttp:request] {{
    set_reply_close();
    if ($hdr(Upgrade) =~ "websocket" && ws_handle_handshake()) exit;
    xhttp_reply("404", "Not Found", "", "");
}}
"""


def text(
    address: str,
    *,
    directory: str,
    domain: str,
    pbx: str,
    password: str,
    outbound: bool = True,
    gruu: bool = True,
    flow_timer_s: int = 0,
) -> str:
    """`kamailio.cfg`; ``pbx`` is Asterisk's address."""
    return _CONFIG.format(
        address=address,
        sip=SIP_PORT,
        ws=WS_PORT,
        domain=domain,
        modules=MODULES,
        directory=directory,
        pbx=pbx,
        password=password,
        outbound=int(outbound),
        gruu=int(gruu),
        flow_timer=flow_timer_s,
    )


def trunk(kamailio: str, asterisk: str) -> str:
    """What Asterisk's pjsip.conf says of the way to its phones."""
    return (
        f"\n[{TRUNK}]\ntype=endpoint\ncontext=default\nallow=!all,ulaw,alaw\naors={TRUNK}\ndirect_media=no\n"
        f"rtp_symmetric=yes\nmedia_address={asterisk}\nbind_rtp_to_media_address=yes\ntransport=transport-udp\n"
        f"[{TRUNK}]\ntype=aor\ncontact=sip:{kamailio}:{SIP_PORT}\n"
        f"[{TRUNK}-address]\ntype=identify\nendpoint={TRUNK}\nmatch={kamailio}\n"
    )
