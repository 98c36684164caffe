//! Functions with the types of Rust: checked once, called without words.

use std::fmt;
use std::marker::PhantomData;

use osr_ir::{FunctionIndex, Signature, Type};

use crate::error::InvokeError;
use crate::instance::host::{HostCall, HostError, Imports};
use crate::thread::Thread;

/// A Rust type whose values are those of a WebAssembly type: integers, signed or not, floats, and `u128` for vectors.
pub trait HostValue: sealed::Value {}

/// The parameters or the results of a function: nothing, a [`HostValue`], or a tuple of up to eight.
pub trait HostValues: sealed::Values {}

mod sealed {
    use osr_ir::Type;

    pub trait Value: Copy {
        const TYPE: Type;
        fn write(self, words: &mut Vec<u64>);
        /// Takes the value's words from the front.
        fn read(words: &mut &[u64]) -> Self;
    }

    pub trait Values: Sized {
        fn types() -> Vec<Type>;
        fn write(self, words: &mut Vec<u64>);
        /// There are so many words.
        fn read(words: &[u64]) -> Self;
    }
}

/// Takes a word from the front.
fn take(words: &mut &[u64]) -> u64 {
    let (&first, rest) = words.split_first().expect("the types were checked");
    *words = rest;
    first
}

/// Implements [`HostValue`] for types that are one word.
macro_rules! one_word {
    ($($host:ty => $ty:ident, $write:expr, $read:expr;)*) => {$(
        impl sealed::Value for $host {
            const TYPE: Type = Type::$ty;

            fn write(self, words: &mut Vec<u64>) {
                let write: fn($host) -> u64 = $write;
                words.push(write(self));
            }

            fn read(words: &mut &[u64]) -> $host {
                let read: fn(u64) -> $host = $read;
                read(take(words))
            }
        }

        impl HostValue for $host {}
    )*};
}

one_word! {
    i32 => I32, |value| u64::from(value as u32), |word| word as i32;
    u32 => I32, u64::from, |word| word as u32;
    i64 => I64, |value| value as u64, |word| word as i64;
    u64 => I64, |value| value, |word| word;
    f32 => F32, |value| u64::from(value.to_bits()), |word| f32::from_bits(word as u32);
    f64 => F64, f64::to_bits, f64::from_bits;
}

impl sealed::Value for u128 {
    const TYPE: Type = Type::V128;

    fn write(self, words: &mut Vec<u64>) {
        words.extend([self as u64, (self >> 64) as u64]);
    }

    fn read(words: &mut &[u64]) -> u128 {
        let low = take(words);
        u128::from(take(words)) << 64 | u128::from(low)
    }
}

impl HostValue for u128 {}

impl<T: HostValue> sealed::Values for T {
    fn types() -> Vec<Type> {
        vec![T::TYPE]
    }

    fn write(self, words: &mut Vec<u64>) {
        sealed::Value::write(self, words);
    }

    fn read(mut words: &[u64]) -> T {
        <T as sealed::Value>::read(&mut words)
    }
}

impl<T: HostValue> HostValues for T {}

/// Implements [`HostValues`] for tuples.
macro_rules! tuples {
    ($(($($name:ident),*))*) => {$(
        #[allow(non_snake_case, unused_mut, unused_variables, reason = "one shape for all tuples, `()` among them")]
        impl<$($name: HostValue),*> sealed::Values for ($($name,)*) {
            fn types() -> Vec<Type> {
                vec![$($name::TYPE),*]
            }

            fn write(self, words: &mut Vec<u64>) {
                let ($($name,)*) = self;
                $(sealed::Value::write($name, words);)*
            }

            #[allow(clippy::unused_unit, reason = "of the tuple without elements")]
            fn read(mut words: &[u64]) -> Self {
                // A tuple's elements are evaluated in order.
                ($(<$name as sealed::Value>::read(&mut words),)*)
            }
        }

        impl<$($name: HostValue),*> HostValues for ($($name,)*) {}
    )*};
}

tuples! {
    ()
    (A)
    (A, B)
    (A, B, C)
    (A, B, C, D)
    (A, B, C, D, E)
    (A, B, C, D, E, F)
    (A, B, C, D, E, F, G)
    (A, B, C, D, E, F, G, H)
}

/// The type of a function from `P` to `R`.
fn signature<P: HostValues, R: HostValues>() -> Signature {
    Signature::new(P::types(), R::types())
}

/// An exported function of a thread's instance, which takes `P` and returns `R`: [`Thread::typed`].
pub struct TypedFunction<'t, P, R> {
    thread: &'t Thread,
    function: FunctionIndex,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> Clone for TypedFunction<'_, P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunction<'_, P, R> {}

impl<P, R> fmt::Debug for TypedFunction<'_, P, R> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TypedFunction").field("function", &self.function).finish_non_exhaustive()
    }
}

impl<P: HostValues, R: HostValues> TypedFunction<'_, P, R> {
    /// Calls it.
    ///
    /// # Errors
    /// As for [`Thread::call`].
    pub fn call(&self, arguments: P) -> Result<R, InvokeError> {
        let mut words = Vec::new();
        arguments.write(&mut words);
        Ok(R::read(&self.thread.call(self.function, &words)?))
    }

    /// Its index in the module.
    pub fn index(&self) -> FunctionIndex {
        self.function
    }
}

impl Thread {
    /// The exported function `name`, which takes `P` and returns `R`: values or tuples of them.
    ///
    /// ```
    /// use osr_engine::{Imports, Instance, Settings, Thread};
    /// let module = r#"(module
    ///   (import "host" "half" (func $half (param i64) (result i64)))
    ///   (func (export "divide") (param i32 i32) (result i64 f64)
    ///     (call $half (i64.extend_i32_s (local.get 0)))
    ///     (f64.div (f64.convert_i32_s (local.get 0)) (f64.convert_i32_s (local.get 1)))))"#;
    /// let mut imports = Imports::new();
    /// imports.typed("host", "half", |_, (n,): (i64,)| Ok(n / 2));
    /// let module = osr_ir::wasm::import_text(module)?;
    /// let instance = Instance::new(Settings::default(), module, &imports)?;
    /// let thread = Thread::new(&instance)?;
    /// let divide = thread.typed::<(i32, i32), (i64, f64)>("divide")?;
    /// assert_eq!(divide.call((7, 2))?, (3, 3.5));
    ///
    /// let error = thread.typed::<(i32,), i64>("divide").unwrap_err();
    /// assert_eq!(error.to_string(), "`divide` is a function (i32, i32) -> (i64, f64), not (i32) -> (i64)");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If there is none, or it is of another type.
    pub fn typed<P: HostValues, R: HostValues>(
        &self,
        name: &str,
    ) -> Result<TypedFunction<'_, P, R>, InvokeError> {
        let function = self.exported(name)?;
        let (found, asked) = (self.instance().module().signature_of(function), signature::<P, R>());
        if !found.has_types_of(&asked) {
            let (found, asked) = (Box::new(found.clone()), Box::new(asked));
            return Err(InvokeError::Signature { function: name.to_owned(), found, asked });
        }
        Ok(TypedFunction { thread: self, function, types: PhantomData })
    }
}

impl Imports {
    /// Provides a function as `module`.`name` whose type is that of `code`: see [`Thread::typed`] for an example. What it
    /// returns as an error ends the guest's call: with an error of the embedder's own
    /// ([`HostError::embedder`]), or with a message.
    pub fn typed<P: HostValues + 'static, R: HostValues + 'static>(
        &mut self,
        module: &str,
        name: &str,
        code: impl Fn(&HostCall<'_>, P) -> Result<R, HostError> + Send + Sync + 'static,
    ) -> &mut Imports {
        self.function(module, name, signature::<P, R>(), move |call, arguments, results| {
            let mut words = Vec::with_capacity(results.len());
            code(call, P::read(arguments))?.write(&mut words);
            results.copy_from_slice(&words);
            Ok(())
        })
    }
}
