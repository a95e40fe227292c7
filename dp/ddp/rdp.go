package ddp

import (
	"math"

	"github.com/choir-fl/choir/dp"
)

// RDP is the Rényi divergence of order alpha between the outputs of one release on
// neighbouring inputs, bounded from above, as a function of the order. Orders are
// integers of at least 2 (AKL prove no others for Skellam, and amplification by
// Poisson sampling of integer noise holds at those alone); below that it is +Inf.
// Releases compose by adding values at one order.
type RDP func(alpha int) float64

// maxWholeOrder is the largest order that a rho of Skellam noise holds for, as dp.Epsilon
// takes it.
const maxWholeOrder = 64

// Add is the divergence of two independent releases together.
func (r RDP) Add(other RDP) RDP {
	return func(alpha int) float64 { return safe(r(alpha) + other(alpha)) }
}

// safe takes a positive result of a few float operations above its exact value.
func safe(x float64) float64 { return x * (1 + 0x1p-40) }

// RDP of one release of the sum of Count shares. It is +Inf where there are no
// shares, the law is neither dp.DiscreteGaussian nor dp.Skellam, or the sensitivity is not a positive number.
func (s Shares) RDP(law dp.Mechanism, sens Sensitivity) RDP {
	switch law {
	case dp.DiscreteGaussian:
		return discreteGaussianRDP(sens, s.count, s.Width())
	case dp.Skellam:
		return skellamRDP(sens, s.sumVariance())
	}
	return nothing
}

// nothing promises nothing.
func nothing(int) float64 { return math.Inf(1) }

func (s Sensitivity) sound() bool {
	return s.Dimension >= 1 && s.L1 > 0 && s.L2 > 0 && s.L1 <= math.MaxFloat64 && s.L2 <= math.MaxFloat64
}

// Tau bounds the logarithm of the ratio of two laws at every integer: of the sum of
// Count discrete Gaussian shares, and of one discrete Gaussian of the same variance (KLS,
// theorem on sums of discrete Gaussians).
func (s Shares) Tau() float64 { return tau(s.count, s.Width()) }

// tau bounds the distance between the law of n summed discrete Gaussians of standard
// deviation width and that of one, after KLS:
//
//	tau = 10 sum_{k=1}^{n-1} exp(-2 pi^2 width^2 k/(k+1))
//
// The terms fall with k, so that those after the first few thousand are replaced by
// the last one computed.
func tau(n int, width float64) float64 {
	const most = 1 << 12
	var sum, term float64
	k := 1
	for ; k < n && k <= most; k++ {
		term = math.Exp(-2 * math.Pi * math.Pi * width * width * float64(k) / float64(k+1))
		sum += term
	}
	sum += term * float64(max(0, n-k))
	if n > 1 {
		sum = max(sum, 0x1p-1000) // an exponential that underflows is not zero
	}
	return 10 * safe(sum)
}

// discreteGaussianRDP is the bound of KLS for n shares
// of standard deviation width and sigma^2 = n*width^2:
//
//	min{ a/2 (D2/sigma)^2 + tau d ;
//	     a/2 ((D2/sigma)^2 + 2 (D1/sigma) tau + tau^2 d) ;
//	     a/2 (D2/sigma + tau sqrt d)^2 }
func discreteGaussianRDP(sens Sensitivity, n int, width float64) RDP {
	if n < 1 || !(width > 0) || !sens.sound() {
		return nothing
	}
	sigma := math.Sqrt(float64(n)) * width
	t, d := tau(n, width), float64(sens.Dimension)
	l1, l2 := sens.L1/sigma, sens.L2/sigma
	return func(alpha int) float64 {
		if alpha < 2 {
			return math.Inf(1)
		}
		half := float64(alpha) / 2
		wide := l2 + t*math.Sqrt(d)
		return safe(min(half*l2*l2+t*d, half*(l2*l2+2*l1*t+t*t*d), half*wide*wide))
	}
}

// discreteGaussianZCDP bounds discreteGaussianRDP over the order, at every real order
// above 1: KLS state their bound as one of concentrated privacy. The first of the three
// does not grow with the order in its second term, which is at most that many times it.
func discreteGaussianZCDP(sens Sensitivity, n int, width float64) float64 {
	if n < 1 || !(width > 0) || !sens.sound() {
		return math.Inf(1)
	}
	sigma := math.Sqrt(float64(n)) * width
	t, d := tau(n, width), float64(sens.Dimension)
	l1, l2 := sens.L1/sigma, sens.L2/sigma
	wide := l2 + t*math.Sqrt(d)
	return safe(safe(min(l2*l2/2+t*d, (l2*l2+2*l1*t+t*t*d)/2, wide*wide/2)))
}

// skellamZCDP bounds the divergence over the order at the whole orders 2 to 64.
func skellamZCDP(r RDP) float64 {
	var rho float64
	for a := 2; a <= maxWholeOrder; a++ {
		rho = max(rho, r(a)/float64(a))
	}
	return safe(rho)
}

// skellamRDP is the bound of AKL for total variance mu and integer orders:
//
//	a D2^2/(2 mu) + min( ((2a-1) D2^2 + 6 D1)/(4 mu^2) , 3 D1/(2 mu) )
func skellamRDP(sens Sensitivity, mu float64) RDP {
	if !(mu > 0) || !sens.sound() {
		return nothing
	}
	l1, square := sens.L1, sens.L2*sens.L2
	return func(alpha int) float64 {
		if alpha < 2 {
			return math.Inf(1)
		}
		a := float64(alpha)
		return safe(a*square/(2*mu) + min(((2*a-1)*square+6*l1)/(4*mu*mu), 3*l1/(2*mu)))
	}
}
