import time, glob, shutil
from pathlib import Path
from tests.lab.test_encrypted_calls import make_phone
from tests.lab.waiting import wait_until
def test_dbg(asterisk, make_phone, capture, tmp_path):
    asterisk.cli("pjsip set logger on"); asterisk.cli("core set debug 3 res_rtp_asterisk"); asterisk.cli("core set debug 3 res_pjsip_sdp_rtp"); asterisk.cli("rtp set debug dtls on") 
    engine = make_phone("1002", "webrtc", output=f"wav:{tmp_path/'e.wav'}")
    engine.dial("606")
    engine.wait_seconds(2)
    for _ in range(2):
        engine.ctl("hold")
        wait_until(lambda: engine.calls()[0]["held"], what="held")
        time.sleep(.5); print(engine.calls())
        engine.ctl("resume")
        wait_until(lambda: not engine.calls()[0]["held"], what="resumed")
        time.sleep(2); print(engine.calls())
    engine.ctl("hangup")
    engine.wait_no_calls()
    capture.stop()
    Path("/tmp/ast.log").write_text(asterisk.console())
    print(capture.fields("dtls", ["frame.time_relative","udp.srcport","udp.dstport","dtls.record.content_type","dtls.handshake.type"]))
    for f in glob.glob(str(engine.directory)+"/**/*.log", recursive=True): shutil.copy(f,"/tmp/eng.log")
