//! Typed indices: one for each kind of thing that is referred to by number.
//!
//! Each prints as its letter and number (`r3`, `b0`), which is also how the textual form spells it.

use std::fmt;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// The `index`th of its kind.
            ///
            /// # Panics
            /// If `index` does not fit 32 bits.
            #[inline]
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("index exceeds 32 bits"))
            }

            /// The position in the table it indexes.
            #[inline]
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The position as the 32-bit number it is stored as.
            #[inline]
            pub fn as_u32(self) -> u32 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }
    };
}
pub(crate) use index;

index!(
    /// A virtual register of a body.
    Register, "r"
);
index!(
    /// A basic block of a body.
    Block, "b"
);
index!(
    /// A function of a module; imported functions are numbered with the defined ones.
    FunctionIndex, "f"
);
index!(
    /// An interned signature of a module: equal indices if and only if equal signatures.
    SignatureIndex, "s"
);
index!(
    /// A global of a module.
    GlobalIndex, "g"
);
index!(
    /// A table of a module.
    TableIndex, "t"
);
index!(
    /// A linear memory of a module.
    MemoryIndex, "m"
);
impl MemoryIndex {
    /// The memory that what names none means.
    pub const FIRST: MemoryIndex = MemoryIndex(0);
}
index!(
    /// A tag of a module: a kind of exceptions.
    TagIndex, "x"
);
index!(
    /// A data segment of a module.
    DataIndex, "d"
);
index!(
    /// An element segment of a module.
    ElementIndex, "e"
);
