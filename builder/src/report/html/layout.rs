//! Where the images of a graph stand: columns by their distance from the roots, rows by a tree.
//!
//! Fleets are nearly trees: an image is made *from* one other, and takes files of few more. So rows are
//! given out along that tree, which lets no two of its edges cross, and what remains is drawn behind.
//! Images of which nothing is made, the most of a large fleet, are packed several to a row in a box
//! behind their parent, so that two hundred fit on two screens.

/// The height of a node, and from one row to the next.
pub(super) const NODE: f64 = 24.0;
const ROW: f64 = 32.0;
/// Between columns, and between nodes packed in a row.
const GAP: f64 = 48.0;
const PACKED_GAP: f64 = 8.0;
/// Rows between the images of one parent and those of the next.
const PAUSE: f64 = 0.35;
/// A drawing of no more rows than this is drawn in one piece; one of more is packed.
const SMALL: f64 = 30.0;
const MOST_COLUMNS: usize = 4;
/// From where lines turn off to the column behind it.
const TURN: f64 = 28.0;
/// Around everything.
const MARGIN: f64 = 12.0;

/// An image to be placed.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// How wide its node has to be.
    pub(super) width: f64,
    /// What it is made from and takes files of, all standing before it in the list.
    pub(super) parents: Vec<usize>,
    /// The one of them that it begins with.
    pub(super) base: Option<usize>,
}

/// A node's or a box's place.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A line from one image to others: to one, or to the box that they are packed in.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: Vec<usize>,
    /// Whether files are taken, rather than the whole.
    pub(super) files_only: bool,
    /// The box, where there is one.
    pub(super) group: Option<Place>,
    /// Where it turns off: all lines from an image do so at the same place, before the next column.
    pub(super) turn: f64,
}

/// A drawing.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) nodes: Vec<Place>,
    pub(super) edges: Vec<Edge>,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// The tree of what begins with what.
struct Tree {
    depth: Vec<usize>,
    trunk: Vec<Option<usize>>,
    /// Children that are packed, and those that are not.
    leaves: Vec<Vec<usize>>,
    branches: Vec<Vec<usize>>,
}

impl Tree {
    fn new(items: &[Item]) -> Self {
        let mut depth = vec![0; items.len()];
        let mut trunk = vec![None; items.len()];
        let mut has_children = vec![false; items.len()];
        for (i, item) in items.iter().enumerate() {
            depth[i] = item
                .parents
                .iter()
                .map(|p| depth[*p] + 1)
                .max()
                .unwrap_or(0);
            let deepest = || item.parents.iter().copied().max_by_key(|p| depth[*p]);
            trunk[i] = item.base.or_else(deepest);
            for parent in &item.parents {
                has_children[*parent] = true;
            }
        }
        let mut leaves = vec![Vec::new(); items.len()];
        let mut branches = vec![Vec::new(); items.len()];
        for (i, item) in items.iter().enumerate() {
            if let Some(parent) = trunk[i] {
                let packed = !has_children[i] && item.parents.len() == 1;
                let list = if packed { &mut leaves } else { &mut branches };
                list[parent].push(i);
            }
        }
        Self {
            depth,
            trunk,
            leaves,
            branches,
        }
    }

    /// Rows that each image takes with everything below it, with so many packed to a row.
    fn rows(&self, columns: usize) -> Vec<f64> {
        let mut rows = vec![0.0; self.depth.len()];
        for i in (0..rows.len()).rev() {
            let packed = self.leaves[i].len().div_ceil(columns) as f64;
            let pauses = self.branches[i].len() + usize::from(packed > 0.0);
            let below: f64 = self.branches[i].iter().map(|c| rows[*c]).sum();
            rows[i] = (packed + below + PAUSE * pauses.saturating_sub(1) as f64).max(1.0);
        }
        rows
    }

    fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.trunk.len()).filter(|i| self.trunk[*i].is_none())
    }

    fn height(&self, rows: &[f64]) -> f64 {
        self.roots().map(|root| rows[root] + PAUSE).sum::<f64>() - PAUSE
    }
}

/// Places everything.
pub(super) fn layout(items: &[Item]) -> Layout {
    if items.is_empty() {
        return Layout::default();
    }
    let tree = Tree::new(items);
    let columns = (1..MOST_COLUMNS)
        .find(|columns| tree.height(&tree.rows(*columns)) <= SMALL)
        .unwrap_or(MOST_COLUMNS);
    let rows = tree.rows(columns);
    let height = tree.height(&rows);
    // A parent in the middle of its children looks best, but not where it is a screen away from the
    // first of them.
    let centred = height <= SMALL;

    let x = column_starts(items, &tree, columns);
    let mut top = vec![0.0; items.len()];
    let mut next_root = 0.0;
    let mut nodes = vec![Place::default(); items.len()];
    let mut edges = Vec::new();
    for (i, item) in items.iter().enumerate() {
        if tree.trunk[i].is_none() {
            top[i] = next_root;
            next_root += rows[i] + PAUSE;
        }
        let packed = tree.trunk[i].is_some_and(|parent| tree.leaves[parent].contains(&i));
        if !packed {
            let middle = if centred { (rows[i] - 1.0) / 2.0 } else { 0.0 };
            nodes[i] = Place {
                x: x[tree.depth[i]],
                y: MARGIN + (top[i] + middle) * ROW,
                width: item.width,
                height: NODE,
            };
        }
        let mut cursor = top[i];
        let leaves = &tree.leaves[i];
        if !leaves.is_empty() {
            pack(
                leaves,
                items,
                columns,
                x[tree.depth[i] + 1],
                cursor,
                &mut nodes,
            );
            cursor += leaves.len().div_ceil(columns) as f64 + PAUSE;
            let turn = x[tree.depth[i] + 1] - TURN;
            edges.extend(edges_to_leaves(i, leaves, columns, turn, &nodes));
        }
        for child in &tree.branches[i] {
            top[*child] = cursor;
            cursor += rows[*child] + PAUSE;
        }
        for parent in &item.parents {
            if !packed {
                edges.push(Edge {
                    from: *parent,
                    to: vec![i],
                    files_only: tree.trunk[i] != Some(*parent),
                    group: None,
                    turn: x[tree.depth[*parent] + 1] - TURN,
                });
            }
        }
    }
    let right = nodes.iter().map(|n| n.x + n.width).fold(0.0, f64::max);
    let bottom = nodes.iter().map(|n| n.y + n.height).fold(0.0, f64::max);
    Layout {
        nodes,
        edges,
        width: right + MARGIN,
        height: bottom + MARGIN,
    }
}

/// Where each column begins. What is packed several to a row begins at its column and takes none up.
fn column_starts(items: &[Item], tree: &Tree, columns: usize) -> Vec<f64> {
    let deepest = tree.depth.iter().max().copied().unwrap_or(0);
    let mut widths = vec![0.0_f64; deepest + 2];
    for (i, item) in items.iter().enumerate() {
        let packed = tree.trunk[i].is_some_and(|parent| tree.leaves[parent].contains(&i));
        if !packed || columns == 1 {
            widths[tree.depth[i]] = widths[tree.depth[i]].max(item.width);
        }
    }
    let mut next = MARGIN;
    widths
        .iter()
        .map(|width| {
            let start = next;
            next += width + GAP;
            start
        })
        .collect()
}

fn pack(leaves: &[usize], items: &[Item], columns: usize, x: f64, row: f64, nodes: &mut [Place]) {
    // Each column of the box is as wide as the widest in it.
    let mut left = x;
    for column in 0..columns {
        let members = || leaves.iter().copied().skip(column).step_by(columns);
        let width = members().map(|i| items[i].width).fold(0.0, f64::max);
        for (line, i) in members().enumerate() {
            nodes[i] = Place {
                x: left,
                y: MARGIN + (row + line as f64) * ROW,
                width: if columns == 1 { items[i].width } else { width },
                height: NODE,
            };
        }
        left += width + PACKED_GAP;
    }
}

fn edges_to_leaves(
    from: usize,
    leaves: &[usize],
    columns: usize,
    turn: f64,
    nodes: &[Place],
) -> Vec<Edge> {
    if columns == 1 || leaves.len() == 1 {
        let to = |leaf: &usize| Edge {
            from,
            to: vec![*leaf],
            files_only: false,
            group: None,
            turn,
        };
        return leaves.iter().map(to).collect();
    }
    let members = || leaves.iter().map(|i| nodes[*i]);
    let x = members().map(|n| n.x).fold(f64::MAX, f64::min);
    let y = members().map(|n| n.y).fold(f64::MAX, f64::min);
    let right = members().map(|n| n.x + n.width).fold(0.0, f64::max);
    let bottom = members().map(|n| n.y + n.height).fold(0.0, f64::max);
    let around = 4.0;
    vec![Edge {
        from,
        to: leaves.to_vec(),
        files_only: false,
        group: Some(Place {
            x: x - around,
            y: y - around,
            width: right - x + 2.0 * around,
            height: bottom - y + 2.0 * around,
        }),
        turn,
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(parents: &[&[usize]]) -> Vec<Item> {
        parents
            .iter()
            .map(|parents| Item {
                width: 100.0,
                parents: parents.to_vec(),
                base: parents.first().copied(),
            })
            .collect()
    }

    /// A base, `groups` of images with a base of their own, each with `each` leaves.
    fn fleet(groups: usize, each: usize) -> Vec<Item> {
        let mut parents: Vec<Vec<usize>> = vec![vec![]];
        for _ in 0..groups {
            let base = parents.len();
            parents.push(vec![0]);
            parents.extend((0..each).map(|_| vec![base]));
        }
        let parents: Vec<&[usize]> = parents.iter().map(Vec::as_slice).collect();
        items(&parents)
    }

    fn check(items: &[Item]) -> Layout {
        let layout = layout(items);
        for (i, a) in layout.nodes.iter().enumerate() {
            assert!(a.x >= 0.0 && a.y >= 0.0);
            assert!(a.x + a.width <= layout.width && a.y + a.height <= layout.height);
            for (j, b) in layout.nodes.iter().enumerate().skip(i + 1) {
                let apart = a.x + a.width <= b.x
                    || b.x + b.width <= a.x
                    || a.y + a.height <= b.y
                    || b.y + b.height <= a.y;
                assert!(apart, "{i} and {j} overlap: {a:?} {b:?}");
            }
            for parent in &items[i].parents {
                let parent = layout.nodes[*parent];
                assert!(parent.x + parent.width < a.x, "{i} is left of its parent");
            }
        }
        let drawn: usize = layout.edges.iter().map(|e| e.to.len()).sum();
        let wanted: usize = items.iter().map(|i| i.parents.len()).sum();
        assert_eq!(drawn, wanted);
        layout
    }

    #[test]
    fn nodes_are_apart_and_right_of_their_parents() {
        assert_eq!(check(&items(&[])).nodes, []);
        check(&items(&[
            &[],
            &[],
            &[0],
            &[0, 1],
            &[3],
            &[0, 4],
            &[5],
            &[5],
        ]));
        check(&fleet(3, 4));
        check(&fleet(12, 5));
        check(&fleet(20, 5));
        let chain: Vec<Vec<usize>> = (0..300_usize)
            .map(|i| i.checked_sub(1).into_iter().collect())
            .collect();
        let chain: Vec<&[usize]> = chain.iter().map(Vec::as_slice).collect();
        check(&items(&chain));
    }

    #[test]
    fn a_large_fleet_is_packed_and_begins_at_the_top() {
        let small = check(&fleet(4, 4));
        assert!(small.edges.iter().all(|e| e.group.is_none()));
        let large = check(&fleet(50, 4));
        assert!(large.edges.iter().any(|e| e.group.is_some()));
        assert!(large.nodes[0].y < 2.0 * ROW);
        assert!(large.height < 2_500.0, "{}", large.height);
    }

    #[test]
    fn files_taken_are_told_from_what_an_image_begins_with() {
        let layout = check(&items(&[&[], &[0], &[1], &[0, 2]]));
        let dashed: Vec<_> = layout.edges.iter().filter(|e| e.files_only).collect();
        assert_eq!(dashed.len(), 1);
        assert_eq!((dashed[0].from, dashed[0].to[0]), (2, 3));
    }
}
