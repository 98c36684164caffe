//! Enums whose values are listed, named and explained.

/// An enum without fields, with `ALL` of its values, and for each its name, which is the same in settings files, on the
/// command line and in tables, and what it means, which is its documentation. One value is marked as the default.
///
/// ```
/// osr_compiler::listed! {
///     /// How fast.
///     pub enum Speed {
///         /// Not at all. Good for nothing.
///         None = "none",
///         /// As fast as
///         /// can be.
///         #[default]
///         Full = "full",
///     }
/// }
/// assert_eq!(Speed::ALL.len(), 2);
/// assert_eq!((Speed::default().name(), Speed::default().meaning()), ("full", "As fast as can be."));
/// ```
#[macro_export]
macro_rules! listed {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $($(#[doc = $meaning:literal])+ $(#[default $($no:tt)?])? $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[$attribute])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, ::serde::Serialize, ::serde::Deserialize,
        )]
        pub enum $name {
            $(
                $(#[doc = $meaning])+
                $(#[default $($no)?])?
                #[serde(rename = $text)]
                $variant,
            )+
        }

        impl $name {
            /// All values.
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            /// The name, as it is written everywhere.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }

            /// What it means: its documentation, on one line.
            pub fn meaning(self) -> &'static str {
                match self {
                    $($name::$variant => concat!($($meaning,)+).trim_start(),)+
                }
            }
        }
    };
}
