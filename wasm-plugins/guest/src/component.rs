//! The one component of an instance.

use std::sync::{Mutex, PoisonError};

use crate::{Error, Result};

/// Holds the component that `create` made. The host gives every component an instance of its own, so a `static` of this
/// type is that component's state and nobody else's.
#[derive(Debug)]
pub struct Component<T>(Mutex<Option<T>>);

impl<T> Component<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Keeps the component: what `create` ends with.
    pub fn set(&self, component: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(component);
    }

    /// Calls it.
    ///
    /// # Errors
    /// What the call answers; `failed` when nothing was created.
    pub fn with<R>(&self, call: impl FnOnce(&mut T) -> Result<R>) -> Result<R> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match held.as_mut() {
            Some(component) => call(component),
            None => Err(Error::failed("the component was not created")),
        }
    }
}

impl<T> Default for Component<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_created_is_an_error_and_no_panic() {
        let component: Component<u32> = Component::new();
        assert!(component.with(|_| Ok(())).is_err());
        component.set(7);
        let value = component.with(|value| {
            *value += 1;
            Ok(*value)
        });
        assert_eq!(value.ok(), Some(8));
    }
}
