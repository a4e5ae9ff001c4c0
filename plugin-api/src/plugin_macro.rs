//! The macros that make a crate a plugin: [`plugin!`](crate::plugin) once a library, [`component!`](crate::component) a component.

/// Makes the crate a plugin: embeds `plugin.toml` (beside `Cargo.toml`), exports the library's one symbol, and offers
/// the components listed.
///
/// ```ignore
/// codex_plugin_api::plugin! {
///     metric "shout-rate" => ShoutRate;
///     dataset "squares" => Squares;
/// }
/// ```
///
/// Each line is a kind, a name as the manifest declares it, and a type that implements the kind's trait and
/// [`FromConfig`](crate::FromConfig) (every `Default` type does). Lines end with `;` or `,`. Components can also be
/// offered beside their code with [`component!`](crate::component); then the list here may be empty, the call may not
/// be left out. The crate needs `crate-type = ["cdylib"]`, with `"rlib"` beside it where its own tests use it.
///
/// The symbol carries the crate's name, so several plugins linked into one test program do not clash; their components
/// then form one list. A library that is loaded is always one plugin.
#[macro_export]
macro_rules! plugin {
    ($($kind:ident $name:literal => $component:ty),* $(,)?) => {
        $crate::plugin! { @export }
        $($crate::component! { $kind $name => $component })*
    };
    ($($kind:ident $name:literal => $component:ty);+ $(;)?) => {
        $crate::plugin! { @export }
        $($crate::component! { $kind $name => $component })*
    };
    (@export) => {
        #[cfg(panic = "abort")]
        ::core::compile_error!(
            "a plugin must be able to unwind, or its panic ends the host: remove `panic = \"abort\"` from the profile"
        );

        const _: () = {
            const MANIFEST: &str =
                ::core::include_str!(::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/plugin.toml"));
            const SYMBOL: &str =
                ::core::concat!("codex_plugin_v1_", ::core::env!("CARGO_CRATE_NAME"));

            #[used]
            #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__codex_plugin"))]
            #[cfg_attr(windows, unsafe(link_section = ".cdxplug"))]
            #[cfg_attr(not(any(target_vendor = "apple", windows)), unsafe(link_section = ".codex_plugin"))]
            static STAMP: [u8; $crate::abi::stamp::length(SYMBOL, MANIFEST)] =
                $crate::abi::stamp::write(SYMBOL, MANIFEST);

            #[unsafe(export_name = ::core::concat!("codex_plugin_v1_", ::core::env!("CARGO_CRATE_NAME")))]
            static BOOTSTRAP: $crate::abi::v1::Bootstrap = $crate::abi::v1::Bootstrap::new(&STAMP);
        };
    };
}

/// Offers one component, beside its code: `codex_plugin_api::component! { metric "shout-rate" => ShoutRate }`.
///
/// The crate also calls [`plugin!`](crate::plugin), which may then list nothing.
#[macro_export]
macro_rules! component {
    ($kind:ident $name:literal => $component:ty $(,)? $(;)?) => {
        $crate::inventory::submit! {
            $crate::Component {
                name: $name,
                schema: $crate::schema_of::<$component>,
                factory: $crate::component!(@factory $kind $name $component),
            }
        }
    };
    (@factory tokenizer $name:literal $component:ty) => { $crate::component!(@make Tokenizer $name $component) };
    (@factory model $name:literal $component:ty) => { $crate::component!(@make Model $name $component) };
    (@factory dataset $name:literal $component:ty) => { $crate::component!(@make Dataset $name $component) };
    (@factory metric $name:literal $component:ty) => { $crate::component!(@make Metric $name $component) };
    (@factory tracker $name:literal $component:ty) => { $crate::component!(@make Tracker $name $component) };
    (@factory sanitizer $name:literal $component:ty) => { $crate::component!(@make Sanitizer $name $component) };
    (@factory adapter $name:literal $component:ty) => { $crate::component!(@make Adapter $name $component) };
    (@factory command $name:literal $component:ty) => { $crate::component!(@make Command $name $component) };
    (@factory $kind:ident $name:literal $component:ty) => {
        ::core::compile_error!(::core::concat!(
            "no plugin kind is called `",
            ::core::stringify!($kind),
            "`: use tokenizer, model, dataset, metric, tracker, sanitizer, adapter or command"
        ))
    };
    (@make $variant:ident $name:literal $component:ty) => {
        $crate::Factory::$variant(|config, host| {
            $crate::create_component::<$component>($name, config, host)
                .map(|component| ::std::boxed::Box::new(component) as ::std::boxed::Box<dyn $crate::$variant>)
        })
    };
}
