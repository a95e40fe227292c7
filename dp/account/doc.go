// Package account bounds what events cost in privacy: epsilon at a delta, or the
// other way round.
//
// Three accountants, each with its use:
//
//   - Curve is Renyi accounting at fixed orders. It knows every event, it is fast, and
//     a Filter made of one of its orders stays valid when noise, clip and cohort are
//     chosen as the run goes. It overstates epsilon by some per cent.
//   - GDP and zCDP are exact, or nearly, for noise on sums that nobody sampled.
//   - PLD composes the whole law of the privacy loss on a grid, from above and from
//     below, so that the gap is known. It is for a schedule that was fixed in advance.
//     The sum of many losses is smooth: its characteristic function dies out at
//     frequencies that are low for the grid, and only those are computed, with a proof
//     that the others do not matter; where that is not so, by a transform of the whole.
//
// All take dp.Event values, so sensitivity and relation are never a matter of
// convention. Every bound named epsilon or upper errs to the safe side; where
// floating-point error is not negligible it is added to the bound. Nothing here keeps
// state between calls but Filter. Values are safe for concurrent use unless they say
// otherwise. NaN, infinities, deltas outside (0,1) and events that a method does not
// cover are errors, never a number.
//
// Sources of formulas: Mironov, Talwar and Zhang 2019 (sampled Gaussian); Wang, Balle
// and Kasiviswanathan 2019 (fixed size); Canonne, Kamath and Steinke 2020, proposition
// 12 (conversion); Dong, Roth and Su 2022 (GDP, trade-off functions); Doroshenko et al.
// 2022 (connect the dots); Feldman and Zrnic 2021 (filters).
package account
