//! The three-way merge.

use miniascape::libvirt::fake::spelling::written;
use miniascape::plan::whose;
use miniascape::xml::merge::{merge, overlay};
use miniascape::xml::spelling;
use miniascape::xml::tree::Element;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::cases;
use crate::names::{called, has, is_known_by_more, names, plain};
use crate::order::{Dice, shuffled, sorted, told};
use crate::trees::{Double, trees, without};

/// A tree without what libvirt takes for something else where another tree's `memory` is put in.
fn unclamped(mut tree: Element) -> Element {
    tree.children.retain(|child| child.name != "currentMemory");
    tree
}

/// A tree whose elements of lists are told apart by their best key alone, as libvirt gives each one.
fn keyed(path: &str, mut tree: Element) -> Element {
    let children = std::mem::take(&mut tree.children).into_iter();
    let children = children.map(|child| (format!("{path}/{}", child.name), child));
    tree.children = children
        .filter(|(path, child)| {
            let best = names(path).iter().find(|name| **name != "alias@name");
            let is_called = |name: &&str| called(name, child).is_some();
            !is_known_by_more(path) && child.name != "alias" && best.is_none_or(is_called)
        })
        .map(|(path, child)| keyed(&path, child))
        .collect();
    tree
}

/// A mark left in a tree: at the element of this index, counted through the tree without those that hold a text.
#[derive(Debug, Clone)]
struct Mark {
    at: Index,
    kind: MarkKind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum MarkKind {
    Attribute,
    Element,
    /// An element of a list with keys, where there is one.
    Listed,
}

fn marks() -> impl Strategy<Value = Vec<Mark>> {
    let kind = select(&[MarkKind::Attribute, MarkKind::Element, MarkKind::Listed][..]);
    vec(
        (any::<Index>(), kind).prop_map(|(at, kind)| Mark { at, kind }),
        0..=6,
    )
}

/// The ways to all elements that may have children, as indices.
fn ways(element: &Element, way: &[usize], ways: &mut Vec<Vec<usize>>) {
    if element.text.is_empty() {
        ways.push(way.to_vec());
    }
    for (index, child) in element.children.iter().enumerate() {
        self::ways(child, &[way, &[index]].concat(), ways);
    }
}

/// Puts a mark into a tree, under a name that is its own. Says whether it is in a list that is the user's alone.
fn put(tree: &mut Element, way: &[usize], kind: MarkKind, name: &str) -> bool {
    let mut path = tree.name.clone();
    let mut at = tree;
    for index in way {
        at = &mut at.children[*index];
        path = format!("{path}/{}", at.name);
    }
    // What may stand there, and whether it is the user's alone.
    let listed = match path.as_str() {
        "domain/devices" => {
            let alias = Element::new("alias").with("name", format!("ua-{name}"));
            Some((Element::new("interface").with_child(alias), true))
        }
        "domain/cpu" => Some((Element::new("feature").with("name", name), false)),
        "network" => Some((Element::new("portgroup").with("name", name), true)),
        "network/dns" => Some((Element::new("txt").with("name", name), true)),
        "network/ip/dhcp" => Some((Element::new("host").with("name", name), true)),
        "network/forward" => Some((Element::new("interface").with("dev", name), false)),
        _ => None,
    };
    match (kind, listed) {
        (MarkKind::Attribute, _) => {
            at.set_attribute(name, "x");
            false
        }
        (MarkKind::Listed, Some((element, is_users))) => {
            at.children.push(element);
            is_users
        }
        (MarkKind::Element | MarkKind::Listed, _) => {
            at.children.push(Element::new(name));
            false
        }
    }
}

proptest! {
    #![proptest_config(cases(96))]

    #[test]
    fn what_is_written_reads_the_same(trees in trees(1)) {
        let text = trees[0].to_string();
        prop_assert_eq!(&Element::parse(&text).unwrap(), &trees[0]);
    }

    #[test]
    fn merged_again_nothing_differs(trees in trees(4)) {
        let trees = trees.iter().map(|tree| unclamped(without(Double::ByBestKey, tree)));
        let trees: Vec<Element> = trees.collect();
        let [first, attempt, live, wanted] = &trees[..] else { unreachable!() };
        let last = [first.clone(), attempt.clone()];
        for last in [&last[..0], &last[..1], &last[..]] {
            let merged = merge(last, live, wanted);
            let again = merge(std::slice::from_ref(wanted), &merged.target, wanted);
            prop_assert_eq!(told(&again.differences), Vec::<String>::new(), "{}", merged.target);
            prop_assert_eq!(plain(&again.target), plain(&written(&merged.target)));
            let read = Element::parse(&merged.target.to_string()).unwrap();
            prop_assert_eq!(&read, &merged.target);
        }
    }

    #[test]
    fn what_the_user_wrote_is_in_the_target(trees in trees(3)) {
        let [last, live, wanted] = &trees[..] else { unreachable!() };
        // Of two that nothing tells apart, what is said of one may be taken for the other's.
        let wanted = &without(Double::ByAnyKey, wanted);
        let merged = merge(std::slice::from_ref(last), live, wanted);
        prop_assert!(has(&merged.target, wanted), "{}{}", wanted, merged.target);
    }

    #[test]
    fn a_tree_does_not_differ_from_itself(trees in trees(2)) {
        let [last, tree] = &trees[..] else { unreachable!() };
        let both = [last.clone(), tree.clone()];
        for last in [&both[..0], &both[1..], &both[..]] {
            let merged = merge(last, tree, tree);
            prop_assert_eq!(told(&merged.differences), Vec::<String>::new());
        }
        let canonical = spelling::canonical(tree);
        prop_assert_eq!(spelling::canonical(&canonical), canonical);
    }

    #[test]
    fn a_tree_is_compared_as_libvirt_writes_it(trees in trees(8)) {
        for tree in &trees {
            let [compared, written] = [spelling::canonical(tree), written(tree)];
            prop_assert_eq!(sorted(&plain(&compared)), sorted(&plain(&written)));
        }
    }

    #[test]
    fn what_was_dropped_goes_and_what_others_added_stays(
        trees in trees(1), dropped in marks(), added in marks(), unlike in vec(any::<Index>(), 0..=2),
    ) {
        let wanted = without(Double::ByAnyKey, &trees[0]);
        let mut all = Vec::new();
        ways(&wanted, &[], &mut all);
        let mut last = wanted.clone();
        for (n, mark) in dropped.iter().enumerate() {
            put(&mut last, mark.at.get::<Vec<usize>>(&all), mark.kind, &format!("dropped-{n}."));
        }
        let mut live = last.clone();
        let mut stays = Vec::new();
        let mut goes = Vec::new();
        for (n, mark) in added.iter().enumerate() {
            let name = format!("added-{n}.");
            match put(&mut live, mark.at.get::<Vec<usize>>(&all), mark.kind, &name) {
                true => goes.push(name),
                false => stays.push(name),
            }
        }
        // Someone else gave some of the root's children another text, or took them out.
        for index in unlike {
            if !wanted.children.is_empty() {
                let at = index.index(wanted.children.len());
                let child = &mut live.children[at];
                if !child.text.is_empty() {
                    "unlike".clone_into(&mut child.text);
                }
            }
        }
        let merged = merge(&[last], &live, &wanted);
        let target = merged.target.to_string();
        prop_assert!(has(&merged.target, &wanted), "{}", target);
        prop_assert!(!target.contains("dropped-") && !target.contains("unlike"), "{}", target);
        for name in goes {
            prop_assert!(!target.contains(&name), "{} is in {}", name, target);
        }
        for name in stays {
            prop_assert!(target.contains(&name), "{} is not in {}", name, target);
        }
    }

    #[test]
    fn what_others_change_is_told_and_nothing_else_is(trees in trees(2), added in marks()) {
        let trees: Vec<Element> = trees
            .iter()
            .map(|tree| unclamped(without(Double::ByAnyKey, tree)))
            .map(|tree| keyed(&tree.name, whose::beside(&tree, None)))
            .collect();
        let [applied, more] = &trees[..] else { unreachable!() };
        // What was applied, and what libvirt filled in.
        let live = &mut applied.clone();
        overlay(live, more);
        let was = whose::beside(live, Some(applied));
        let was = Element::parse(&was.to_string()).unwrap();
        let changed = |live: &Element| whose::changed(&was, Some(applied), live, &[applied]);
        prop_assert_eq!(told(&changed(live)), Vec::<String>::new(), "{}", was);

        let mut all = Vec::new();
        ways(live, &[], &mut all);
        let mut other = live.clone();
        for (n, mark) in added.iter().enumerate() {
            let way = mark.at.get::<Vec<usize>>(&all);
            put(&mut other, way, mark.kind, &format!("added-{n}."));
        }
        let changed_by_others = changed(&other);
        let merged = merge(std::slice::from_ref(applied), &other, applied);
        let seen = format!("{changed_by_others:?}{:?}", merged.differences);
        let looked_at = whose::beside(&other, None).to_string();
        for n in 0..added.len() {
            let name = format!("added-{n}.");
            prop_assert!(!looked_at.contains(&name) || seen.contains(&name), "{} in {}", name, other);
        }
        let mut back = other;
        whose::put_back(&mut back, &changed_by_others);
        prop_assert_eq!(told(&changed(&back)), Vec::<String>::new(), "{}", back);
    }

    #[test]
    fn order_never_matters(trees in trees(3), seed: u64) {
        let trees: Vec<Element> = trees.iter().map(|tree| without(Double::ByAnyKey, tree)).collect();
        let mut dice = Dice(seed);
        let others: Vec<Element> = trees.iter().map(|tree| shuffled(tree, &mut dice)).collect();
        let merged = merge(&trees[..1], &trees[1], &trees[2]);
        let other = merge(&others[..1], &others[1], &others[2]);
        prop_assert_eq!(told(&merged.differences), told(&other.differences));
        prop_assert_eq!(sorted(&merged.target).to_string(), sorted(&other.target).to_string());
    }

    #[test]
    fn an_overlay_is_in_what_it_is_put_over_and_is_put_there_once(trees in trees(2)) {
        let trees: Vec<Element> = trees
            .iter()
            .map(|tree| unclamped(without(Double::ByBestKey, tree)))
            .collect();
        let [base, over] = &trees[..] else { unreachable!() };
        let mut once = base.clone();
        overlay(&mut once, over);
        prop_assert!(has(&once, over), "{}", once);
        let mut twice = once.clone();
        overlay(&mut twice, over);
        prop_assert_eq!(twice, once);
    }
}
