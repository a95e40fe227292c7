package plan

import "github.com/goccy/go-yaml/token"

// The form that a plan file may have: model, tensors, one tensor, its shape are the
// deepest nesting, and no mapping has more than some dozen keys.
const (
	maxFlow   = 8   // brackets within each other
	maxColumn = 64  // where a line may begin
	maxInside = 3   // collections that begin on one line without brackets
	maxKeys   = 256 // keys of one mapping
)

// form follows the tokens of a file before they are parsed. The parser recurses into
// nested values and takes time with the square of a mapping's length, so that a file
// of a megabyte could occupy it for hours or exhaust the memory.
type form struct {
	line    int
	last    token.Type
	inside  int                // collections begun since the line, or the last bracket or comma
	keys    [maxColumn + 1]int // lines that begin a key at a column, since one that begins before it
	open    []token.Type       // brackets
	entries [maxFlow + 1]int   // commas since each of them
	begun   bool               // something was said
	ended   bool               // and its end was marked
}

func (f file) checkForm(tokens token.Tokens) error {
	var s form
	for _, t := range tokens {
		if t.Type == token.CommentType {
			continue
		}
		if wrong := s.take(t); wrong != "" {
			return f.refuse(t.Position.Line, "%s", wrong)
		}
	}
	return nil
}

// take follows one token and returns what is wrong with it.
func (s *form) take(t *token.Token) string {
	last := s.last
	s.last = t.Type
	if t.Position.Line != s.line {
		s.line = t.Position.Line
		if last == token.SequenceEntryType && t.Type == last {
			return "the entry before has no value"
		}
		if len(s.open) == 0 {
			if wrong := s.begin(t); wrong != "" {
				return wrong
			}
		}
	}
	switch t.Type {
	case token.DocumentHeaderType:
		if s.begun {
			return "a second document begins"
		}
	case token.DocumentEndType:
		s.ended = true
		return ""
	case token.SequenceStartType, token.MappingStartType:
		s.open, s.inside = append(s.open, t.Type), 0
		if len(s.open) > maxFlow {
			return "nested too deeply"
		}
		s.entries[len(s.open)] = 0
	case token.SequenceEndType, token.MappingEndType:
		s.open, s.inside = s.open[:max(len(s.open)-1, 0)], 0
	case token.CollectEntryType:
		s.inside = 0
		n := len(s.open)
		s.entries[n]++
		if n > 0 && s.open[n-1] == token.MappingStartType && s.entries[n] > maxKeys {
			return "too many keys"
		}
	case token.SequenceEntryType, token.MappingValueType:
		if s.inside++; s.inside > maxInside {
			return "nested too deeply"
		}
	case token.MappingKeyType, token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.DirectiveType:
		return "anchors, tags and the like are not used in plans"
	}
	if s.ended {
		return "a second document begins"
	}
	s.begun = true
	return ""
}

// begin follows the first token of a line that is not within brackets.
func (s *form) begin(t *token.Token) string {
	c := t.Position.Column
	s.inside = 0
	if c < 0 || c > maxColumn {
		return "indented too far"
	}
	clear(s.keys[c+1:])
	if t.Type != token.SequenceEntryType {
		s.keys[c]++
	}
	if s.keys[c] > maxKeys {
		return "too many keys"
	}
	return ""
}
