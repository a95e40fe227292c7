package strictyaml

import "github.com/goccy/go-yaml/token"

// The form of a file. The deepest nesting that is needed is that of a matrix with a plan in
// it: plan, model, tensors, one tensor, its shape; no mapping has more than some dozen keys.
const (
	maxFlow   = 8   // brackets within each other
	maxColumn = 64  // where a line may begin
	maxInside = 3   // collections that begin on one line, or between brackets and commas
	maxKeys   = 256 // of one mapping
	maxTabs   = 256 // in comments; the lexer takes time with their square
	maxBlank  = 128 // line breaks in a row, two for a CRLF; it copies a text once for each that ends it
	maxSaid   = 200 // characters of what the parser says, which quotes the file
)

// blank reports whether more lines in a row than any file needs have nothing in them.
func blank(b []byte) bool {
	breaks := 0
	for _, c := range b {
		switch c {
		case '\n', '\r':
			if breaks++; breaks > maxBlank {
				return true
			}
		case ' ', '\t':
		default:
			breaks = 0
		}
	}
	return false
}

// form follows the tokens of a file before they are parsed. The parser recurses into
// nested values, and takes time with the square of the number of keys, of empty
// entries and of values without a separator: a file of a megabyte could occupy it for
// hours or exhaust the memory.
type form struct {
	last   *token.Token
	line   int
	key    int                // column of the latest key
	inside int                // collections that began
	keys   [maxColumn + 1]int // by column, the lines that began there since one began before it
	open   []token.Type       // brackets
	commas [maxFlow + 1]int   // in each of them
}

// checkForm refuses what no file needs.
func (f file) checkForm(tokens token.Tokens) error {
	var s form
	for _, t := range tokens {
		if t.Type == token.CommentType {
			continue
		}
		wrong := s.separated(t)
		if t.Position.Line != s.line && wrong == "" {
			s.line = t.Position.Line
			wrong = s.begin(t)
		}
		if wrong == "" {
			wrong = s.take(t)
		}
		if wrong != "" {
			return f.refuse(t.Position.Line, "%s", wrong)
		}
		s.last = t
	}
	return nil
}

// isScalar reports whether a token is a value that is not composed of others.
func isScalar(t *token.Token) bool {
	switch t.Type {
	case token.StringType, token.SingleQuoteType, token.DoubleQuoteType, token.IntegerType, token.FloatType, token.BoolType,
		token.NullType, token.InfinityType, token.NanType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType:
		return true
	}
	return false
}

// separated refuses an entry without a value, and two values with nothing between
// them but space.
func (s *form) separated(t *token.Token) string {
	switch {
	case s.last == nil:
	case s.last.Type == token.SequenceEntryType && t.Type == token.SequenceEntryType && s.last.Position.Line != t.Position.Line:
		return "an entry before it has no value"
	case s.last.Type == token.MappingValueType && t.Type == token.SequenceEntryType && t.Position.Column < s.key:
		return "a key before it has no value"
	case isScalar(s.last) && isScalar(t) && s.last.Position.Line == t.Position.Line:
		return "a value follows another"
	}
	return ""
}

// begin follows the first token of a line.
func (s *form) begin(t *token.Token) string {
	if len(s.open) > 0 {
		return ""
	}
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

// take follows one token.
func (s *form) take(t *token.Token) string {
	switch t.Type {
	case token.DocumentHeaderType:
		if s.last != nil {
			return "a second document begins"
		}
	case token.SequenceStartType, token.MappingStartType:
		s.open, s.inside = append(s.open, t.Type), 0
		if len(s.open) > maxFlow {
			return "nested too deeply"
		}
		s.commas[len(s.open)] = 0
	case token.SequenceEndType, token.MappingEndType:
		s.open, s.inside = s.open[:max(len(s.open)-1, 0)], 0
	case token.CollectEntryType:
		n := len(s.open)
		s.inside = 0
		s.commas[n]++
		if n > 0 && s.open[n-1] == token.MappingStartType && s.commas[n] > maxKeys {
			return "too many keys"
		}
	case token.SequenceEntryType, token.MappingValueType:
		if t.Type == token.SequenceEntryType && len(s.open) > 0 {
			return "a dash stands within brackets"
		}
		if s.inside++; s.inside > maxInside {
			return "nested too deeply"
		}
		if s.last != nil && t.Type == token.MappingValueType {
			s.key = s.last.Position.Column
		}
	case token.MappingKeyType, token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.DirectiveType, token.DocumentEndType:
		return "anchors, tags and the like are not used here"
	}
	return ""
}
