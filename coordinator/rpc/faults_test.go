package rpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/choir-fl/choir/client/grpctransport"
	"github.com/choir-fl/choir/coordinator"
	"github.com/choir-fl/choir/coordinator/plan"
	"github.com/choir-fl/choir/coordinator/store"
	"github.com/choir-fl/choir/fault"
)

// Each class arrives as it was, but what failed inside arrives as that alone.
func TestFaultsCrossTheWire(t *testing.T) {
	for class := fault.Internal; class <= fault.Aborted; class++ {
		t.Run(class.String(), func(t *testing.T) {
			sentinel := fault.New(class, "test/"+class.String(), "what is wrong", "what to do")
			sent := fmt.Errorf("on the way: %w", sentinel.At("where %d", 7).Because(errors.New("/secret/path")))
			got := grpctransport.Fault(statusOf(sent))
			require.NotContains(t, got.Error(), "/secret/path", "causes stay where they are")
			require.Equal(t, class, fault.ClassOf(got))
			if class == fault.Internal {
				require.NotErrorIs(t, got, sentinel)
				require.NotContains(t, got.Error(), "what is wrong")
				return
			}
			require.ErrorIs(t, got, sentinel)
			require.EqualError(t, got, "where 7: what is wrong; what to do")
			require.NotEqual(t, codes.Internal, status.Code(statusOf(sent)))
			require.NotEqual(t, codes.OK, status.Code(statusOf(sent)))
		})
	}
}

func TestErrorsThatAreNoFaults(t *testing.T) {
	for name, x := range map[string]struct {
		err  error
		want error
	}{
		"wrong offset":  {&store.OffsetError{Given: 1, Present: 2}, ErrOffset},
		"too long":      {fmt.Errorf("part: %w", store.ErrSize), ErrTooLarge},
		"closed store":  {store.ErrClosed, ErrStopping},
		"disk":          {&fs.PathError{Op: "open", Path: "/secret", Err: fs.ErrPermission}, ErrInternal},
		"interrupted":   {context.Canceled, ErrTime},
		"gRPC's size":   {status.Error(codes.ResourceExhausted, "x"), ErrTooLarge},
		"gRPC's codec":  {status.Error(codes.Internal, "x"), ErrMessage},
		"engine's busy": {coordinator.ErrBusy, coordinator.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, grpctransport.Fault(statusOf(x.err)), x.want)
			require.NotContains(t, statusOf(x.err).Error(), "secret")
		})
	}
	require.NoError(t, statusOf(nil))
	require.NoError(t, grpctransport.Fault(nil))
}

// An operator's plan is refused with all its contradictions, in one line.
func TestOperatorsReadTheCauses(t *testing.T) {
	err := spellOut(errors.Join(plan.ErrContradiction.At("job").Because(errors.New("no name")), plan.ErrContradiction.At("rounds").Because(errors.New("none"))))
	got := grpctransport.Fault(statusOf(err))
	require.ErrorIs(t, got, plan.ErrContradiction)
	require.ErrorContains(t, got, "no name")
	require.ErrorContains(t, got, "none")
	require.NotContains(t, got.Error(), "\n")
	require.Equal(t, ErrInternal, faultOf(spellOut(errors.New("inside"))))
}
