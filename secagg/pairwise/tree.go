package pairwise

import "github.com/choir-fl/choir/secagg"

// A sender signs all parts of its share message at once, and each receiver gets
// its own part alone: the signature is over the root of a hash tree, and a part
// travels with the digests on its path. Leaves are padded with zero digests to a
// power of two. Leaves and inner nodes are hashed under different labels.

// maxPath bounds the depth of the tree: 2^20 parts.
const maxPath = 20

func leaf(part []byte) secagg.Digest { return secagg.Hash("pairwise/1 part", part) }

func node(left, right secagg.Digest) secagg.Digest {
	return secagg.Hash("pairwise/1 parts", left[:], right[:])
}

// tree holds the levels from the padded leaves up to the root.
type tree [][]secagg.Digest

func newTree(parts [][]byte) tree {
	width := 1
	for width < len(parts) {
		width *= 2
	}
	level := make([]secagg.Digest, width)
	for i, p := range parts {
		level[i] = leaf(p)
	}
	t := tree{level}
	for len(level) > 1 {
		up := make([]secagg.Digest, len(level)/2)
		for i := range up {
			up[i] = node(level[2*i], level[2*i+1])
		}
		t, level = append(t, up), up
	}
	return t
}

func (t tree) root() secagg.Digest { return t[len(t)-1][0] }

// path returns the digests that lead from leaf i to the root.
func (t tree) path(i int) []byte {
	var out []byte
	for _, level := range t[:len(t)-1] {
		out = append(out, level[i^1][:]...)
		i /= 2
	}
	return out
}

// rootOf recomputes the root from a part, its place and its path. ok is false
// for a path or place of impossible length.
func rootOf(part []byte, i int, path []byte) (root secagg.Digest, ok bool) {
	depth := len(path) / len(root)
	if len(path)%len(root) != 0 || depth > maxPath || i < 0 || i>>depth != 0 {
		return root, false
	}
	root = leaf(part)
	for ; len(path) > 0; path = path[len(root):] {
		sibling := secagg.Digest(path[:len(root)])
		if i%2 == 0 {
			root = node(root, sibling)
		} else {
			root = node(sibling, root)
		}
		i /= 2
	}
	return root, true
}
