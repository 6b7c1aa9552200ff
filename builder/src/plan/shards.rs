use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::Affected;
use crate::model::ImageName;

/// Deals images into at most `count` groups for as many machines, none of them empty. Parents come
/// before their children, and everything is dealt the same way each time.
///
/// An image and what is made from it go into one group, up to a fair share of all. What is larger is
/// parted where it branches: the image at the top stays with one of its children, and all below that, and
/// with as many others as there is room for; the rest goes elsewhere. Its groups build the images
/// above as well, unless a registry has them by then; so a chain is never parted, which would save
/// nothing. An image with several parents counts as the child of the one that itself stands on most
/// others.
pub fn shards(affected: &[Affected], count: usize) -> Vec<Vec<ImageName>> {
    let forest = Forest::new(affected);
    let share = affected.len().div_ceil(count.max(1)).max(1);
    let mut parts = Vec::new();
    for root in &forest.roots {
        forest.part(*root, Vec::new(), share, &mut parts);
    }
    parts.sort_by_key(|part| (Reverse(part.len()), part.iter().min().copied()));
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); count.max(1)];
    for part in parts {
        // The first of those with the least.
        if let Some(group) = groups.iter_mut().min_by_key(|group| group.len()) {
            group.extend(part);
        }
    }
    groups.retain(|group| !group.is_empty());
    for group in &mut groups {
        group.sort_unstable();
    }
    let names = |group: Vec<usize>| group.into_iter().map(|i| affected[i].image.clone());
    groups
        .into_iter()
        .map(|group| names(group).collect())
        .collect()
}

/// The images by their positions, each below one of its parents.
struct Forest {
    roots: Vec<usize>,
    children: Vec<Vec<usize>>,
    /// How many images there are in the tree below an image, itself included.
    sizes: Vec<usize>,
}

impl Forest {
    fn new(affected: &[Affected]) -> Self {
        let positions: BTreeMap<&ImageName, usize> = affected
            .iter()
            .enumerate()
            .map(|(i, image)| (&image.image, i))
            .collect();
        let mut depths = vec![0_usize; affected.len()];
        let mut children = vec![Vec::new(); affected.len()];
        let mut above = vec![None; affected.len()];
        let mut roots = Vec::new();
        for (i, image) in affected.iter().enumerate() {
            let parents = image.parents.iter().filter_map(|p| positions.get(p));
            let deepest = parents.copied().max_by_key(|p| (depths[*p], Reverse(*p)));
            above[i] = deepest;
            match deepest {
                Some(parent) => {
                    depths[i] = depths[parent] + 1;
                    children[parent].push(i);
                }
                None => roots.push(i),
            }
        }
        let mut sizes = vec![1; affected.len()];
        for i in (0..affected.len()).rev() {
            if let Some(parent) = above[i] {
                sizes[parent] += sizes[i];
            }
        }
        Self {
            roots,
            children,
            sizes,
        }
    }

    /// Parts the tree below `top` into pieces of at most `share` images. `carried` are images above it
    /// that have no piece yet and come with it.
    fn part(
        &self,
        top: usize,
        mut carried: Vec<usize>,
        share: usize,
        pieces: &mut Vec<Vec<usize>>,
    ) {
        if carried.len() + self.sizes[top] <= share {
            self.tree(top, &mut carried);
            pieces.push(carried);
            return;
        }
        carried.push(top);
        let mut own = Some(carried);
        let mut children = self.children[top].clone();
        children.sort_by_key(|child| (Reverse(self.sizes[*child]), *child));
        let (large, small): (Vec<usize>, Vec<usize>) = children
            .into_iter()
            .partition(|child| self.sizes[*child] > share);
        for child in large {
            self.part(child, own.take().unwrap_or_default(), share, pieces);
        }
        // Pieces of this level are shared by its own children only.
        let first = pieces.len();
        for child in small {
            let piece = own.take().or_else(|| {
                let room = pieces[first..]
                    .iter()
                    .position(|piece| piece.len() + self.sizes[child] <= share)?;
                Some(pieces.remove(first + room))
            });
            let mut piece = piece.unwrap_or_default();
            self.tree(child, &mut piece);
            pieces.push(piece);
        }
    }

    /// Adds everything of the tree below `top`.
    fn tree(&self, top: usize, to: &mut Vec<usize>) {
        let mut open = vec![top];
        while let Some(image) = open.pop() {
            to.push(image);
            open.extend(&self.children[image]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Digest, Fingerprint, ServiceName};

    /// "child<parent,parent", parents first.
    fn images(lines: &[&str]) -> Result<Vec<Affected>, crate::model::Diagnostic> {
        lines
            .iter()
            .map(|line| {
                let (image, parents) = line.split_once('<').unwrap_or((line, ""));
                let parents = parents.split(',').filter(|p| !p.is_empty());
                Ok(Affected {
                    image: ImageName::new(image)?,
                    service: ServiceName::new("s")?,
                    fingerprint: Fingerprint::new(Digest::of(image)),
                    before: None,
                    changes: Vec::new(),
                    parents: parents.map(ImageName::new).collect::<Result<_, _>>()?,
                })
            })
            .collect()
    }

    fn dealt(lines: &[&str], count: usize) -> Result<Vec<String>, crate::model::Diagnostic> {
        let groups = shards(&images(lines)?, count);
        let text = |group: &Vec<ImageName>| {
            let names: Vec<&str> = group.iter().map(ImageName::as_str).collect();
            names.join(" ")
        };
        Ok(groups.iter().map(text).collect())
    }

    #[test]
    fn an_image_stays_with_what_is_made_from_it() -> Result<(), crate::model::Diagnostic> {
        let fleet = ["a", "b", "a1<a", "a2<a1", "b1<b", "c"];
        assert_eq!(dealt(&fleet, 2)?, ["a a1 a2", "b b1 c"]);
        assert_eq!(dealt(&fleet, 1)?, ["a b a1 a2 b1 c"]);
        // No more groups than there is something for.
        assert_eq!(dealt(&["a", "a1<a"], 4)?, ["a a1"]);
        assert_eq!(dealt(&["a"], 9)?, ["a"]);
        assert!(dealt(&[], 3)?.is_empty());
        Ok(())
    }

    #[test]
    fn what_is_too_large_is_parted_where_it_branches() -> Result<(), crate::model::Diagnostic> {
        let fleet = [
            "base",
            "os<base",
            "heat<os",
            "h1<heat",
            "h2<heat",
            "nova<os",
            "n1<nova",
            "n2<nova",
            "redis<base",
        ];
        let groups = dealt(&fleet, 3)?;
        assert_eq!(groups, ["base os heat h1 h2", "nova n1 n2", "redis"]);
        Ok(())
    }

    #[test]
    fn of_several_parents_the_deepest_counts() -> Result<(), crate::model::Diagnostic> {
        let fleet = ["a", "b", "a1<a", "tool<b,a1", "b1<b"];
        assert_eq!(dealt(&fleet, 2)?, ["a a1 tool", "b b1"]);
        Ok(())
    }

    #[test]
    fn every_image_is_dealt_once_and_evenly() -> Result<(), crate::model::Diagnostic> {
        let mut lines = vec!["base".to_owned(), "os<base".to_owned()];
        for service in 0..12 {
            lines.push(format!("s{service}<os"));
            lines.extend((0..service).map(|i| format!("s{service}-{i}<s{service}")));
        }
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let all = images(&lines)?;
        for count in 1..=lines.len() + 1 {
            let groups = shards(&all, count);
            let mut names: Vec<&ImageName> = groups.iter().flatten().collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all.len());
            assert_eq!(groups.iter().map(Vec::len).sum::<usize>(), all.len());
            assert!(groups.len() <= count && groups.iter().all(|group| !group.is_empty()));
            // A share, a last piece of a share, and the two images above everything.
            let share = all.len().div_ceil(count);
            assert!(groups.iter().all(|group| group.len() <= 2 * share + 2));
        }
        Ok(())
    }
}
