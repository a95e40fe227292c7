package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Format writes the plan as YAML that Parse reads back as the same plan. A plan with
// a number or a text that no file can hold, which Check refuses too, is an error.
func (l Literal) Format() (string, error) {
	var w formatter
	w.mapping(reflect.ValueOf(l), "")
	return w.String(), w.err
}

// formatter writes YAML. A library's writer would leave texts bare that its reader
// then takes for something else.
type formatter struct {
	strings.Builder
	err error
}

// mapping writes the keys of a struct, each on a line that begins with indent.
func (w *formatter) mapping(v reflect.Value, indent string) {
	for i := range v.NumField() {
		key, option, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		f := v.Field(i)
		if option == "omitempty" && (f.IsZero() || f.Kind() == reflect.Map && f.Len() == 0) {
			continue
		}
		w.WriteString(indent + key + ":")
		switch f.Kind() {
		case reflect.Struct:
			if inner := w.within(f, indent+"  "); inner == "" {
				w.WriteString(" {}\n")
			} else {
				w.WriteString("\n" + inner)
			}
		case reflect.Slice:
			w.list(f, indent)
		case reflect.Map:
			w.entries(f, indent+"  ")
		default:
			w.WriteString(" " + w.scalar(f) + "\n")
		}
	}
}

// list writes a list after its key: of structs in lines, of values in brackets.
func (w *formatter) list(v reflect.Value, indent string) {
	if v.Len() == 0 || v.Type().Elem().Kind() != reflect.Struct {
		items := make([]string, v.Len())
		for i := range items {
			items[i] = w.scalar(v.Index(i))
		}
		w.WriteString(" [" + strings.Join(items, ", ") + "]\n")
		return
	}
	w.WriteString("\n")
	for i := range v.Len() {
		// The dash takes the place of the first line's indentation.
		w.WriteString(indent + "  - " + strings.TrimPrefix(w.within(v.Index(i), indent+"    "), indent+"    "))
	}
}

// entries writes a map of texts after its key, in the order of its keys.
func (w *formatter) entries(v reflect.Value, indent string) {
	w.WriteString("\n")
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		value := w.scalar(v.MapIndex(k))
		if text := v.MapIndex(k).String(); number.MatchString(text) {
			value = text // which is read back as it stands
		}
		w.WriteString(indent + w.scalar(k) + ": " + value + "\n")
	}
}

// within returns the keys of a struct that stands within another value.
func (w *formatter) within(v reflect.Value, indent string) string {
	var inner formatter
	inner.mapping(v, indent)
	w.err = firstOf(w.err, inner.err)
	return inner.String()
}

var (
	number   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?$`)
	bare     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)
	reserved = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
)

func (w *formatter) scalar(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return time.Duration(v.Int()).String()
	case v.CanInt():
		return strconv.FormatInt(v.Int(), 10)
	case v.CanFloat():
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			w.err = firstOf(w.err, ErrSyntax.At("plan").Because(fmt.Errorf("%v is not a number that a file can hold", v.Float())))
		}
		return strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case v.Kind() == reflect.Bool:
		return strconv.FormatBool(v.Bool())
	}
	text := v.String()
	if !utf8.ValidString(text) {
		w.err = firstOf(w.err, ErrSyntax.At("plan").Because(fmt.Errorf("text %.40q is not UTF-8", text)))
	}
	if bare.MatchString(text) && !slices.Contains(reserved, strings.ToLower(text)) {
		return text
	}
	// A string of JSON is one of YAML.
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	w.err = firstOf(w.err, e.Encode(text))
	return strings.TrimSuffix(b.String(), "\n")
}

func firstOf(err, next error) error {
	if err != nil {
		return err
	}
	return next
}
