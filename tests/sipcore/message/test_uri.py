"""Uri and NameAddr: RFC 3261 §19.1, §20.10, §25.1; RFC 5118."""

import pytest

from sipcore.errors import ParseError
from sipcore.message.uri import NameAddr, Uri


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:*97@pbx.example.com:5061;lr",
        "sip:#31#5551234@pbx",
        "sip:bob@[2001:db8::10]:5070",
        "sip:user%3b%20x@host",
        "tel:+1-201-555-0123;phone-context=example.com",
        "mailto:a@b",
        "http://www.example.com/x?y",
    ],
)
def test_the_examples_of_19_1_3_and_their_like_survive_a_round_trip(text: str) -> None:
    assert str(Uri.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip",
        "sip:",
        "sip:@host",
        "sip:alice@",
        "sip:ali ce@host",
        "sip:alice@host;",
        "sip:alice@host;;lr",
        "sip:alice@host;=x",
        "sip:alice@host?",
        "sip:alice@host?a",
        "sip:alice@host?=b",
        "sip:alice@host:",
        "sip:alice@host:65536",
        "sip:alice@host:123456",
        "sip:alice@host:٣",
        "sip:alice@ho st",
        "sip:alice@bob@host",
        "sip:%4@host",
        "sip:%zz@host",
        "sip:alice@2001:db8::10",
        "sip:alice@[2001:db8::10",
        "sip:alice@[2001:db8::zz]",
        "sip:alice@[1:2:3]",
        "<sip:alice@host>",
        "tel:",
        "tel:+1 2",
        "1sip:a@b",
        "sip:a@b\x00",
        "sip:\ud800@b",
        "tel:\udfff",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        Uri.parse(text)


def test_the_parts_are_kept_as_written_and_read_unescaped() -> None:
    uri = Uri.parse("SIP:%61l%20ice:pw@AtLanTa.CoM:5061;Transport=tcp;lr?Subject=a%20b")
    assert (uri.scheme, uri.user, uri.user_part, uri.password) == ("sip", "%61l%20ice", "al ice", "pw")
    assert (uri.host, uri.port, uri.host_port) == ("AtLanTa.CoM", 5061, "AtLanTa.CoM:5061")
    assert (uri.param("transport"), uri.param("LR"), uri.param("absent")) == ("tcp", "", None)
    assert (uri.header("subject"), uri.header("to")) == ("a b", None)
    assert uri.opaque is None


def test_an_ipv6_host_keeps_its_brackets() -> None:
    """RFC 5118 §4.3 and §4.4: a port inside the brackets is part of the address."""
    assert Uri.parse("sip:[2001:db8::10:5070]").port is None
    assert (Uri.parse("sip:[2001:db8::10]:5070").host, Uri.parse("sip:[2001:db8::10]:5070").port) == (
        "[2001:db8::10]",
        5070,
    )


def test_other_schemes_are_opaque() -> None:
    uri = Uri.parse("TEL:+1-201-555-0123;phone-context=x")
    assert (uri.scheme, uri.host, uri.opaque) == ("tel", "", "+1-201-555-0123;phone-context=x")
    assert uri.user_part == "+1-201-555-0123"
    assert Uri.parse("isbn:2983792873").user_part is None


def test_changed_copies() -> None:
    uri = Uri.parse("sip:a@b;x=1;lr?Subject=q")
    assert str(uri.with_param("X", "2")) == "sip:a@b;X=2;lr?Subject=q"
    assert str(uri.with_param("ob")) == "sip:a@b;x=1;lr;ob?Subject=q"
    assert str(uri.with_param("odd", "a;b c")) == "sip:a@b;x=1;lr;odd=a%3Bb%20c?Subject=q"
    assert str(uri.without_params("X", "nothing")) == "sip:a@b;lr?Subject=q"
    assert str(uri.bare()) == "sip:a@b"
    assert str(uri.with_user("1 2@3")) == "sip:1%202%403@b;x=1;lr?Subject=q"
    assert str(uri.with_user("\ud800").bare()) == "sip:?@b"
    assert str(uri.with_user(None).bare()) == "sip:b"
    referred = uri.bare().with_header("Replaces", "1@h;to-tag=2;from-tag=3")
    assert str(referred) == "sip:a@b?Replaces=1%40h%3Bto-tag%3D2%3Bfrom-tag%3D3"
    assert Uri.parse(str(referred)).header("replaces") == "1@h;to-tag=2;from-tag=3"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0::1]"),
        ("tel:+1", "TEL:%2B1"),
    ],
)
def test_equivalent_as_in_19_1_4(left: str, right: str) -> None:
    assert Uri.parse(left).equivalent(Uri.parse(right))
    assert Uri.parse(right).equivalent(Uri.parse(left))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@b;maddr=1.2.3.4", "sip:a@b"),
        ("sip:a@b;ttl=1", "sip:a@b"),
        ("sip:a@b;user=ip", "sip:a@b"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a@b", "sip:b"),
        ("sip:a:x@b", "sip:a@b"),
        ("sip:%00@host", "sip:%00%00@host"),
        ("sip:%FF@host", "sip:%FE@host"),
        ("tel:1", "sip:1@b"),
    ],
)
def test_not_equivalent_as_in_19_1_4(left: str, right: str) -> None:
    assert not Uri.parse(left).equivalent(Uri.parse(right))
    assert not Uri.parse(right).equivalent(Uri.parse(left))


@pytest.mark.parametrize(
    ("text", "name", "uri", "tag"),
    [
        ('"A. G. Bell" <sip:agb@bell-telephone.com> ;tag=a48s', "A. G. Bell", "sip:agb@bell-telephone.com", "a48s"),
        ("sip:+12125551212@server.phone2net.com;tag=887s", None, "sip:+12125551212@server.phone2net.com", "887s"),
        ("Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8", "Anonymous", "sip:c8oqz84zk7z@privacy.org", "hyh8"),
        ('"J Rosenberg \\\\\\""       <sip:j@e.com>  ;  tag = 98', 'J Rosenberg \\"', "sip:j@e.com", "98"),
        ("caller<sip:caller@example.com>;tag=323", "caller", "sip:caller@example.com", "323"),
        ('"" <sip:a@b>', "", "sip:a@b", None),
        ('"Häuptling, <Gefleckter> ; Rabe" <sip:a@b;x>', "Häuptling, <Gefleckter> ; Rabe", "sip:a@b;x", None),
        ("O'Brien (Büro) & Co. <sip:a@b>", "O'Brien (Büro) & Co.", "sip:a@b", None),
        ("<tel:+1234;ext=5>;tag=z", None, "tel:+1234;ext=5", "z"),
    ],
)
def test_name_addr(text: str, name: str | None, uri: str, tag: str | None) -> None:
    parsed = NameAddr.parse(text)
    assert (parsed.display_name, str(parsed.uri), parsed.tag) == (name, uri, tag)
    assert NameAddr.parse(str(parsed)) == parsed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Alice",
        "<>",
        "<sip:a@b",
        "sip:a@b>",
        '"Alice <sip:a@b>',
        '"A" "B" <sip:a@b>',
        "Bell, Alexander <sip:a@b>",
        "< sip:a@b >",
        "<sip:a@b> tag=1",
        "<sip:a@b>;;",
        "<sip:a@b>;=1",
        "<sip:a@b>;tag=",
        "sip:a@b?Route=%3Csip:c%3E",
        "sip:a@b,sip:c@d",
        "<sip:a@b>, <sip:c@d>",
        "*",
    ],
)
def test_what_is_no_name_addr_is_refused(text: str) -> None:
    with pytest.raises(ParseError):
        NameAddr.parse(text)


def test_a_semicolon_outside_brackets_starts_a_header_parameter() -> None:
    """§20: "any semicolon-delimited parameters are header-parameters, not URI parameters"."""
    bare = NameAddr.parse("sip:+19725552222@gw1.example.net;unknownparam")
    assert (bare.uri.params, bare.params) == ((), (("unknownparam", None),))
    enclosed = NameAddr.parse("<sip:+19725552222@gw1.example.net;unknownparam>")
    assert (enclosed.uri.params, enclosed.params) == ((("unknownparam", None),), ())


def test_header_parameters_are_quoted_where_they_must_be() -> None:
    contact = NameAddr(uri=Uri.parse("sip:a@b"))
    contact = contact.with_param("+sip.instance", "<urn:uuid:1>").with_param("reg-id", "1").with_param("ob")
    assert str(contact) == '<sip:a@b>;+sip.instance="<urn:uuid:1>";reg-id=1;ob'
    again = NameAddr.parse(str(contact))
    assert (again.param("+SIP.instance"), again.param("reg-id"), again.param("ob")) == ("<urn:uuid:1>", "1", "")
    assert str(again.without_params("ob", "REG-ID")) == '<sip:a@b>;+sip.instance="<urn:uuid:1>"'
    assert (
        str(contact.with_param("+sip.instance", '"<urn:uuid:2>"'))
        == '<sip:a@b>;+sip.instance="<urn:uuid:2>";reg-id=1;ob'
    )


def test_with_tag_replaces() -> None:
    assert str(NameAddr.parse("<sip:a@b>;x;tag=1;y").with_tag("2")) == "<sip:a@b>;x;tag=2;y"


def test_a_list_is_split_outside_quotes_and_brackets() -> None:
    """§7.3.1; the comma in a display name and the one in a user part belong to them."""
    text = '"Mr. Watson, jr" <sip:w,x@y.com>;q=0.7; expires=3600 ,"Mr. \\"W\\"" <mailto:w@b.com>;q=0.1,sip:z@h'
    assert [str(item.uri) for item in NameAddr.parse_many(text)] == ["sip:w,x@y.com", "mailto:w@b.com", "sip:z@h"]
    for bad in (f"{text},", f",{text}", '<sip:a@b>,"', "<sip:a@b>,<sip:c"):
        with pytest.raises(ParseError):
            NameAddr.parse_many(bad)


def test_a_name_with_a_line_break_cannot_add_a_header() -> None:
    forged = NameAddr(uri=Uri.parse("sip:a@b"), display_name='x\r\nRoute: <sip:evil>\r\n"')
    assert "\n" not in str(forged)
    assert "\r" not in str(forged)
