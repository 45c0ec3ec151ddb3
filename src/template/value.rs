//! Lists and dictionaries as Python has them: shared, and changed in place.
//!
//! minijinja's own never change, so templates get these instead: [`own`] turns a context into them, and literals, methods and
//! filters make them. However deep or tangled a template makes them, nothing overflows.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::fmt;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use indexmap::IndexMap;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, Tuple, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use super::missing;

/// The longest text that a template may make.
pub const LONGEST: usize = 64 << 20;

/// The longest list.
pub const MOST: usize = LONGEST / 8;

/// How deep values are printed and compared, and tuples nested.
const DEPTH: usize = 60;

/// How many lists and dictionaries one comparison looks into.
const STEPS: usize = 200_000;

/// How many tuples one holds, counted again wherever they stand.
const MEMBERS: usize = 1000;

thread_local! {
    /// Depth and steps of what is printed now, and of what is compared now.
    static PRINTING: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    static COMPARING: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// Whether something was too much to be printed.
    static CUT: Cell<bool> = const { Cell::new(false) };
    static BURIED: RefCell<Vec<Value>> = const { RefCell::new(Vec::new()) };
    static BURYING: Cell<bool> = const { Cell::new(false) };
}

/// An error about something that a template does.
pub fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// Refuses a text that would be longer than any template needs, before it is made, and counts the work as steps.
pub fn afford(state: &State, length: usize) -> Result<(), Error> {
    match length > LONGEST {
        true => Err(refuse("the text would be longer than 64 MiB")),
        false => state.consume_fuel((length / 64) as u64),
    }
}

/// The same for a list.
pub fn afford_items(state: &State, length: usize) -> Result<(), Error> {
    match length > MOST {
        true => Err(refuse("the list would be longer than 8388608 items")),
        false => state.consume_fuel((length / 4) as u64),
    }
}

/// The items of anything that can be gone over, as Python's `list()`.
pub fn items(state: &State, value: &Value) -> Result<Vec<Value>, Error> {
    if value.is_none() {
        return Err(refuse("none cannot be gone over"));
    }
    afford_items(state, value.len().unwrap_or(0))?;
    let mut items = Vec::new();
    for item in value.try_iter()?.checked() {
        items.push(item?);
        if items.len() % 1024 == 0 {
            afford_items(state, items.len())?;
        }
    }
    Ok(items)
}

/// A value whose lists and maps, at any depth, are [`List`]s and [`Dict`]s that nobody else holds.
pub fn own(value: &Value) -> Value {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => List::from(value.clone()),
        ValueKind::Map => Dict::from(value.clone()),
        _ => value.clone(),
    }
}

/// A value as it may be kept in a container or a namespace, where the next turn of a loop finds it: what grows from turn to
/// turn is of our own kinds, which are printed and dropped within bounds.
pub fn kept(state: &State, value: Value) -> Result<Value, Error> {
    is_bounded(&value, DEPTH, &mut { MEMBERS })?;
    let is_ours = value.is_tuple() || value.downcast_object_ref::<List>().is_some();
    Ok(match value.kind() {
        ValueKind::Seq | ValueKind::Iterable if !is_ours => List::value(items(state, &value)?),
        _ => value,
    })
}

/// Goes through tuples, which minijinja prints and drops without any bound. A namespace might be put into itself.
fn is_bounded(value: &Value, depth: usize, left: &mut usize) -> Result<(), Error> {
    let object = value.as_object();
    if object.is_some_and(|object| object.type_name().ends_with("::Namespace")) {
        return Err(refuse("a namespace is not kept in another value"));
    }
    let Some(tuple) = value.downcast_object_ref::<Tuple>() else {
        return Ok(());
    };
    if depth == 0 || *left == 0 {
        return Err(refuse("this value is nested too deeply"));
    }
    *left -= 1;
    tuple
        .iter()
        .try_for_each(|item| is_bounded(item, depth - 1, left))
}

/// What the value is, in a word for the reader, with its article.
pub fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "undefined",
        ValueKind::None => "none",
        ValueKind::Bool => "a boolean",
        ValueKind::Number if value.is_integer() => "an integer",
        ValueKind::Number => "a float",
        ValueKind::String | ValueKind::Bytes => "a string",
        ValueKind::Map if value.downcast_object_ref::<Dict>().is_some() => "a dictionary",
        ValueKind::Seq if value.is_tuple() => "a tuple",
        ValueKind::Seq => "a list",
        ValueKind::Iterable => "an iterator",
        _ => "an object",
    }
}

/// What a list or a dictionary holds. All values that hold the same see its changes.
#[derive(Debug)]
pub struct Held<T: Content> {
    /// What it is to be copied from when it is first looked at: a template sees a whole lab and looks at little of it.
    source: Value,
    content: OnceLock<RwLock<T>>,
}

/// A list.
pub type List = Held<Vec<Value>>;

/// A dictionary, in the order of insertion.
pub type Dict = Held<IndexMap<Value, Value>>;

/// What can be held.
pub trait Content: fmt::Debug + Default + Clone + Send + Sync + 'static {
    /// One level of another container, copied.
    fn of(value: &Value) -> Self;
    /// All values in it.
    fn values(self) -> Vec<Value>;
}

impl Content for Vec<Value> {
    fn of(value: &Value) -> Self {
        let items = value.try_iter().into_iter().flatten();
        items.take(MOST).map(|item| own(&item)).collect()
    }

    fn values(self) -> Vec<Value> {
        self
    }
}

impl Content for IndexMap<Value, Value> {
    fn of(value: &Value) -> Self {
        let object = value.as_object();
        let pairs = object.and_then(|object| object.try_iter_pairs());
        let pairs = pairs.into_iter().flatten();
        pairs.map(|(key, value)| (key, own(&value))).collect()
    }

    fn values(self) -> Vec<Value> {
        self.into_iter().flat_map(<[Value; 2]>::from).collect()
    }
}

impl<T: Content> Held<T>
where
    Self: Object,
{
    /// A new one as a value. The keys of a dictionary must be [`hashable`].
    pub fn value(content: T) -> Value {
        Value::from_object(Self {
            source: Value::UNDEFINED,
            content: RwLock::new(content).into(),
        })
    }

    fn from(source: Value) -> Value {
        Value::from_object(Self {
            source,
            content: OnceLock::new(),
        })
    }
}

impl<T: Content> Held<T> {
    fn lock(&self) -> &RwLock<T> {
        let copied = || RwLock::new(T::of(&self.source));
        self.content.get_or_init(copied)
    }

    /// Looks at the content. Nothing that looks at other values may be done meanwhile.
    pub fn read<R>(&self, what: impl FnOnce(&T) -> R) -> R {
        what(&self.lock().read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the content. Nothing that looks at other values may be done meanwhile.
    pub fn change<R>(&self, what: impl FnOnce(&mut T) -> R) -> R {
        what(&mut self.lock().write().unwrap_or_else(PoisonError::into_inner))
    }

    /// The content as it is now.
    pub fn now(&self) -> T {
        self.read(T::clone)
    }
}

impl<T: Content> Drop for Held<T> {
    fn drop(&mut self) {
        let content = self.content.take().map(RwLock::into_inner);
        let content = content.map(|content| content.unwrap_or_else(PoisonError::into_inner));
        let values = content.unwrap_or_default().values();
        bury(values.into_iter().chain([std::mem::take(&mut self.source)]));
    }
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let at = key.as_usize();
        let found = at.and_then(|at| self.read(|items| items.get(at).cloned()));
        missing::recorded(found, key, self)
    }

    /// As Python does: what is appended meanwhile comes as well.
    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Iter(Box::new(Items(self.clone(), 0)))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read(Vec::len))
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(compare(|| self.now().cmp(&other.now())))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(f, ["[", "]"], self.now(), repr)
    }
}

/// The items of a list from a place on.
struct Items(Arc<List>, usize);

impl Iterator for Items {
    type Item = Value;

    fn next(&mut self) -> Option<Value> {
        let item = self.0.read(|items| items.get(self.1).cloned());
        self.1 += 1;
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.read(Vec::len).saturating_sub(self.1);
        (left, Some(left))
    }
}

impl Dict {
    /// The value of a key.
    pub fn get(&self, key: &Value) -> Option<Value> {
        hashable(key).ok()?;
        self.read(|map| map.get(key).cloned())
    }
}

/// Refuses what Python takes for no key: lists and dictionaries, which can change.
pub fn hashable(key: &Value) -> Result<(), Error> {
    if let Some(tuple) = key.downcast_object_ref::<Tuple>() {
        return tuple.iter().try_for_each(hashable);
    }
    match key.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            Err(refuse("what can change cannot be a key"))
        }
        _ => Ok(()),
    }
}

impl Object for Dict {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        missing::recorded(self.get(key), key, self)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::KeyValueIter(Box::new(self.now().into_iter()))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.read(IndexMap::len))
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
        let other = other.downcast_ref::<Self>()?;
        Some(compare(|| {
            let (own, other) = (self.now(), other.now());
            match own.len() == other.len() && own.iter().all(|(k, v)| other.get(k) == Some(v)) {
                true => Ordering::Equal,
                false => own.iter().cmp(&other).then(Ordering::Less),
            }
        }))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |(key, value): &(Value, Value)| format!("{}: {}", repr(key), repr(value));
        print(f, ["{", "}"], self.now().into_iter().collect(), pair)
    }
}

/// A value as `str()` gives it in Python; nothing for an undefined one.
pub fn text(value: &Value) -> Result<String, Error> {
    let text = match value.as_str() {
        Some(text) => return Ok(text.to_owned()),
        None if value.is_undefined() => String::new(),
        None => repr(value),
    };
    match was_cut() {
        true => Err(too_much()),
        false => Ok(text),
    }
}

/// The error about what was cut.
pub fn too_much() -> Error {
    refuse("this value is too large or nested too deeply to be printed")
}

/// A value as `repr()` gives it in Python.
pub fn repr(value: &Value) -> String {
    let text = format!("{value:?}");
    match value.kind() {
        // Rust writes an exponent where Python does, but without sign and padding.
        ValueKind::Number => match (text.split_once("e-"), text.split_once('e')) {
            (Some((mantissa, exponent)), _) => format!("{mantissa}e-{exponent:0>2}"),
            (_, Some((mantissa, exponent))) => format!("{mantissa}e+{exponent:0>2}"),
            _ => text.to_lowercase(),
        },
        ValueKind::Undefined => "Undefined".to_owned(),
        _ => text,
    }
}

/// Prints what a container holds. Past the bounds there are dots, and [`was_cut`] says so.
fn print<T>(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [&str; 2],
    items: Vec<T>,
    each: impl Fn(&T) -> String,
) -> fmt::Result {
    let (depth, steps) = PRINTING.get();
    let steps = if depth == 0 { 0 } else { steps } + items.len() + 1;
    if depth >= DEPTH || steps >= MOST {
        CUT.set(true);
    }
    if CUT.get() {
        return write!(f, "{open}...{close}");
    }
    f.write_str(open)?;
    PRINTING.set((depth + 1, steps));
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index > 0 { ", " } else { "" })?;
        f.write_str(&each(item))?;
    }
    PRINTING.set((depth, PRINTING.get().1));
    f.write_str(close)
}

/// Whether anything was too large or nested too deeply to be printed since this was asked last.
pub fn was_cut() -> bool {
    CUT.replace(false)
}

/// Compares what two containers hold, as far as the bounds.
fn compare(what: impl FnOnce() -> Ordering) -> Ordering {
    let (depth, steps) = COMPARING.get();
    let steps = if depth == 0 { 0 } else { steps };
    if depth >= DEPTH || steps >= STEPS {
        return Ordering::Equal;
    }
    COMPARING.set((depth + 1, steps + 1));
    let ordering = what();
    COMPARING.set((depth, COMPARING.get().1));
    ordering
}

/// Drops what a container held, one after the other and not one inside the other.
pub fn bury(items: impl IntoIterator<Item = Value>) {
    let taken = BURIED.try_with(|buried| {
        let containers = items.into_iter().filter(|item| item.as_object().is_some());
        buried.borrow_mut().extend(containers);
    });
    // The thread ends: what was not taken has been dropped.
    if taken.is_err() || BURYING.replace(true) {
        return;
    }
    while let Some(item) = BURIED.with(|buried| buried.borrow_mut().pop()) {
        drop(item);
    }
    BURYING.set(false);
}
