package coordinator

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/tensor"
)

// Keys of the metadata of an exported model.
const (
	metadataJob     = "choir.job"
	metadataRound   = "choir.round"
	metadataPlan    = "choir.plan_digest"
	metadataPrivacy = "choir.privacy"
)

// Statement is what an exported model says of its privacy. What is not promised is nil.
type Statement struct {
	Mode string `json:"mode"`
	// The unit whose data is protected, and what its absence is compared with.
	Unit      string `json:"unit,omitempty"`
	Relation  string `json:"relation,omitempty"`
	Mechanism string `json:"mechanism,omitempty"`
	// NoiseMultiplier is the standard deviation of the noise in each released sum, over
	// the norm that contributions are clipped to; of the latest plan, if there were several.
	NoiseMultiplier    float64  `json:"noise_multiplier,omitempty"`
	EpsilonReleased    *float64 `json:"epsilon_released"`
	EpsilonCoordinator *float64 `json:"epsilon_coordinator"`
	Delta              *float64 `json:"delta"`
	Accountant         string   `json:"accountant,omitempty"`
	// Population names whose budget was charged, and the ledger's head when the file was made.
	Population   string `json:"population,omitempty"`
	LedgerCount  uint64 `json:"ledger_count,omitempty"`
	LedgerDigest string `json:"ledger_digest,omitempty"`
}

// statement says what the run promises of all that it has released, and of what was
// reserved since.
func (e *Engine) statement() Statement {
	l := e.cfg.Plan.Literal().Privacy
	out := Statement{Mode: l.Mode}
	if g := e.cfg.Plan.Guarantee(); g.Stated() {
		spent, at := e.spent(), e.cfg.Ledger.Head()
		out.Unit, out.Relation, out.Mechanism, out.NoiseMultiplier = "client", g.Noise().Relation.String(), l.Mechanism, l.NoiseMultiplier
		out.EpsilonReleased, out.EpsilonCoordinator, out.Delta = spent.Released, spent.Coordinator, spent.Delta
		out.Accountant, out.Population, out.LedgerCount, out.LedgerDigest = "rdp, gdp", l.Population, at.Count, at.Digest.String()
	}
	return out
}

// Privacy is what has been learned of a client so far, and what updates are clipped to
// in the round under way; zero without noise.
func (e *Engine) Privacy() (spent Spent, clipNorm float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spent(), e.head.clipNorm
}

// Export opens the run's latest model as a safetensors file of so many bytes. Its
// metadata say which it is, choir.job, choir.round and choir.plan_digest, and in
// choir.privacy what it promises: a Statement in JSON. The values are those of the
// canonical file, whose digest clients check.
func (e *Engine) Export() (io.ReadCloser, int64, error) {
	for {
		e.mu.Lock()
		h, privacy := e.head, e.statement()
		e.mu.Unlock()
		file, size, err := e.export(h, privacy)
		if errors.Is(err, store.ErrNotFound) && e.State().Model != h.model {
			continue // a round was released meanwhile
		}
		return file, size, err
	}
}

// exported is a file whose beginning is another one's than that of a blob.
type exported struct {
	io.Reader
	blob store.Reader
}

// Close implements io.Closer.
func (f exported) Close() error { return f.blob.Close() }

func (e *Engine) export(h head, privacy Statement) (_ io.ReadCloser, _ int64, err error) {
	text, err := json.Marshal(privacy)
	if err != nil {
		return nil, 0, err
	}
	schema := e.cfg.Plan.Terms().Tensors
	header, err := tensor.HeaderWithMetadata(schema, map[string]string{metadataJob: e.cfg.Plan.Job(), metadataRound: strconv.FormatUint(uint64(h.lastRound), 10),
		metadataPlan: h.plan.String(), metadataPrivacy: string(text)})
	if err != nil {
		return nil, 0, err
	}
	if err := store.Verify(e.cfg.Store.Blobs, store.Digest(h.model)); err != nil {
		return nil, 0, err
	}
	blob, err := e.cfg.Store.Blobs.Open(store.Digest(h.model))
	if err != nil {
		return nil, 0, err
	}
	begin := tensor.HeaderSize(schema)
	if _, err := blob.Seek(begin, io.SeekStart); err != nil {
		return nil, 0, errors.Join(err, blob.Close())
	}
	return exported{io.MultiReader(bytes.NewReader(header), blob), blob}, h.modelSize - begin + int64(len(header)), nil
}
