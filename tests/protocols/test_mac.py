import hmac

from hypothesis import given
from hypothesis import strategies as st

from protocols.mac import keyed


@given(key=st.binary(max_size=200), message=st.binary(max_size=300), digest=st.sampled_from(["sha1", "sha256"]))
def test_it_is_hmac_for_keys_of_any_length(key, message, digest):
    assert keyed(key, digest)(message) == hmac.digest(key, message, digest)


def test_it_may_be_used_again():
    compute = keyed(b"key", "sha256")
    assert compute(b"one") != compute(b"two")
    assert compute(b"one") == hmac.digest(b"key", b"one", "sha256")
