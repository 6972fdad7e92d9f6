//! Statics of one VM.

/// Like `std::thread_local!` with `const` values, once for each VM. A module is one thread, so that `thread_local!` would do in
/// wasm; natively many VMs run on one thread, and would share it.
#[macro_export]
macro_rules! vm_local {
    ($($(#[$attribute:meta])* $visibility:vis static $NAME:ident: $type:ty = const { $value:expr };)*) => {
        $(
            #[cfg(target_arch = "wasm32")]
            ::std::thread_local! { $(#[$attribute])* $visibility static $NAME: $type = const { $value }; }

            #[cfg(not(target_arch = "wasm32"))]
            $(#[$attribute])*
            $visibility static $NAME: $crate::native::VmLocal<$type> = $crate::native::VmLocal::new(|| $value);
        )*
    };
}
