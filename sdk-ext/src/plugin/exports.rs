//! The macro that makes a plugin a module.

/// Makes this crate's module start with the given [`Plugin`](crate::Plugin). Once a crate, in `lib.rs`.
///
/// Given several, `plugin!(A, B)`, the module does what those of A and B do in a chain in this order, in one callback of the
/// host: requests pass A first, responses B first. Its configuration is an object with a section for each, under its
/// [`NAME`](crate::Plugin::NAME); what has no section is off. Each has its own mode, metrics and log lines. What needs a module of
/// its own: filters that hold bodies.
///
/// In wasm it exports what Proxy-Wasm ABI 0.2.1 calls. Natively it defines `wayside_vm()`, a VM of this plugin to drive with
/// [`Callbacks`](crate::Callbacks), and no symbols, so that several filters fit into one test binary.
///
/// The exports named `wayside:…` are not for hosts: by the code behind them the pipeline sees which callbacks a filter
/// left as they are, and drops both.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty $(,)?) => {
        $crate::module! { $plugin; $crate::internal::Link<$plugin, ()> }
    };
    ($($plugin:ty),+ $(,)?) => {
        const _: () = assert!(
            $crate::internal::distinct(&[$(<$plugin as $crate::Plugin>::NAME),+]),
            "two filters of one module have the same name, and so the same section of its configuration"
        );
        $crate::module! { $crate::internal::Bundle<$crate::chain!($($plugin),+)>; $crate::chain!($($plugin),+) }
    };
}

/// Plugins in the order of a chain.
#[doc(hidden)]
#[macro_export]
macro_rules! chain {
    () => { () };
    ($first:ty $(, $rest:ty)*) => { $crate::internal::Link<$first, $crate::chain!($($rest),*)> };
}

/// A module of one plugin, which may be several; the second type lists them.
#[doc(hidden)]
#[macro_export]
macro_rules! module {
    ($plugin:ty; $members:ty) => {
        /// A VM of this plugin, to be driven natively.
        #[must_use]
        pub fn wayside_vm() -> Box<dyn $crate::Callbacks> {
            Box::new($crate::internal::Vm::<$plugin>::new())
        }

        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::Callbacks as _;

            ::std::thread_local! {
                static VM: $crate::internal::Vm<$plugin> = const { $crate::internal::Vm::new() };
            }

            $crate::exports! { $members:
                proxy_on_context_create(id: u32, parent: u32) => |vm| vm.on_context_create(id, parent);
                proxy_on_configure(root: u32, size: usize) -> u32 => |vm| u32::from(vm.on_configure(root, size));
                proxy_on_tick(root: u32) => |vm| vm.on_tick(root);
                proxy_on_request_headers["wayside:proxy_on_request_headers" on_request_headers]
                    (id: u32, count: u32, end: u32) -> u32 => |vm| vm.on_request_headers(id, count, end != 0);
                proxy_on_request_body["wayside:proxy_on_request_body" on_request_body]
                    (id: u32, size: usize, end: u32) -> u32 => |vm| vm.on_request_body(id, size, end != 0);
                proxy_on_request_trailers["wayside:proxy_on_request_trailers" on_request_trailers]
                    (id: u32, count: u32) -> u32 => |vm| vm.on_request_trailers(id, count);
                proxy_on_response_headers["wayside:proxy_on_response_headers" on_response_headers]
                    (id: u32, count: u32, end: u32) -> u32 => |vm| vm.on_response_headers(id, count, end != 0);
                proxy_on_response_body["wayside:proxy_on_response_body" on_response_body]
                    (id: u32, size: usize, end: u32) -> u32 => |vm| vm.on_response_body(id, size, end != 0);
                proxy_on_response_trailers["wayside:proxy_on_response_trailers" on_response_trailers]
                    (id: u32, count: u32) -> u32 => |vm| vm.on_response_trailers(id, count);
                proxy_on_http_call_response(root: u32, token: u32, headers: u32, body: usize, trailers: u32)
                    => |vm| vm.on_http_call_response(root, token, headers, body, trailers);
                proxy_on_grpc_receive(root: u32, token: u32, size: usize) => |vm| vm.on_grpc_receive(root, token, size);
                proxy_on_grpc_close(root: u32, token: u32, status: u32) => |vm| vm.on_grpc_close(root, token, status);
                proxy_on_log["wayside:proxy_on_log" on_log](id: u32) => |vm| vm.on_log(id);
                proxy_on_done(id: u32) -> u32 => |vm| u32::from(vm.on_done(id));
                proxy_on_delete(id: u32) => |vm| vm.on_delete(id);
            }
        };
    };
}

/// The exports of one module.
#[doc(hidden)]
#[macro_export]
macro_rules! exports {
    (
        $members:ty:
        $(
            $export:ident $([$probe:literal $method:ident])? ($($argument:ident: $type:ty),*) $(-> $result:ty)?
                => |$vm:ident| $call:expr;
        )*
    ) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $export($($argument: $type),*) $(-> $result)? {
                VM.with(|$vm| $call)
            }

            $(
                const _: () = {
                    #[unsafe(export_name = $probe)]
                    extern "C" fn probe(filters: &mut <$members as $crate::internal::Probes>::Filters) -> u32 {
                        u32::from(<$members as $crate::internal::Probes>::$method(filters))
                    }
                };
            )?
        )*

        #[unsafe(no_mangle)]
        extern "C" fn proxy_abi_version_0_2_1() {}

        // `malloc` belongs to the C library where there is one.
        #[cfg_attr(target_os = "unknown", unsafe(export_name = "malloc"))]
        #[cfg_attr(not(target_os = "unknown"), unsafe(no_mangle))]
        extern "C" fn proxy_on_memory_allocate(size: usize) -> *mut u8 {
            $crate::internal::allocate(size)
        }

        #[cfg(target_os = "wasi")]
        const _: () = {
            unsafe extern "C" {
                fn __wasm_call_ctors();
            }

            #[unsafe(no_mangle)]
            extern "C" fn _initialize() {
                // SAFETY: the linker's own function, called once by the host before anything else.
                unsafe { __wasm_call_ctors() }
            }
        };
    };
}
