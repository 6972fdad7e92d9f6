//! How operators name gRPC methods.

/// Whether this is the path of a gRPC method: `/package.Service/Method`, and nothing else.
#[must_use]
pub fn is_grpc_method(text: &str) -> bool {
    let parts = text.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    parts.is_some_and(|(service, method)| !service.is_empty() && !method.is_empty() && !method.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_a_service_and_its_name() {
        for (text, is) in [
            ("/a.B/C", true),
            ("/B/C", true),
            ("a.B/C", false),
            ("/a.B", false),
            ("/a.B/", false),
            ("//C", false),
            ("/a.B/C/", false),
            ("/a.B/C/D", false),
            ("", false),
        ] {
            assert_eq!(is_grpc_method(text), is, "{text}");
        }
    }
}
