package process

import "strings"

// Words cuts a command as written by a person into the program and its arguments:
// at spaces outside of quotes. 'single' and "double" quotes keep what is between
// them as it is; nothing is expanded and nothing is escaped.
func Words(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	begun := false
	for _, c := range command {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '\'' || c == '"':
			quote, begun = c, true
		case c == ' ' || c == '\t' || c == '\n':
			if begun {
				words, begun = append(words, word.String()), false
				word.Reset()
			}
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, ErrCommand.At("%q: a quote is not closed", command)
	}
	if begun {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, ErrCommand.At("the command is empty")
	}
	return words, nil
}
