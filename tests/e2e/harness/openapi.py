# SPDX-License-Identifier: Apache-2.0
"""What schemathesis has to be told to send the bodies that are no JSON."""

import schemathesis


@schemathesis.serializer("application/sdp", "application/trickle-ice-sdpfrag")
def text(_context, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", errors="replace")
