# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: a server, an official publisher, the recorder, judges."""
