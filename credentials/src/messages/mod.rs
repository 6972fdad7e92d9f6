//! HTTP messages that are signed: RFC 9421 with RFC 9530, and the profiles of webhooks.
