package exprlib

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"gabion/userspace/expr"
)

func numberFunctions() []expr.Function {
	return []expr.Function{
		sure1("Atof", atof),
		sure2("FloatApproxEqual", func(a, b float64) bool { return math.Abs(a-b) < 1e-6 }),
		{Name: "Distance", Types: []any{new(func(string, string, string, string) float64)}, Call: callDistance},
		{Name: "AverageInterval", Types: []any{new(func(any) time.Duration)}, Call: callInterval(averageInterval)},
		{Name: "MedianInterval", Types: []any{new(func(any) time.Duration)}, Call: callInterval(medianInterval)},
	}
}

// atof reads a number; text that is none counts as 0.
func atof(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return f
}

func callDistance(args ...any) (any, error) {
	s, err := texts(args, 0)
	if err != nil {
		return nil, err
	}
	var degrees [4]float64
	for i := range degrees {
		if degrees[i], err = strconv.ParseFloat(s[i], 64); err != nil {
			return nil, fmt.Errorf("%q is no latitude or longitude", s[i])
		}
	}
	return distance(degrees[0], degrees[1], degrees[2], degrees[3]), nil
}

// distance returns the kilometres between two points on the earth (haversine). The point 0, 0 is
// what a missing location looks like, so nothing is far from it.
func distance(lat1, lon1, lat2, lon2 float64) float64 {
	if lat1 == 0 && lon1 == 0 || lat2 == 0 && lon2 == 0 {
		return 0
	}
	const earthRadius = 6371
	rad := func(deg float64) float64 { return deg * math.Pi / 180 }
	sinLat, sinLon := math.Sin(rad(lat2-lat1)/2), math.Sin(rad(lon2-lon1)/2)
	a := sinLat*sinLat + math.Cos(rad(lat1))*math.Cos(rad(lat2))*sinLon*sinLon
	return 2 * earthRadius * math.Atan2(math.Sqrt(a), math.Sqrt(1-a))
}

// callInterval makes a helper over the gaps between times in order.
func callInterval(f func(gaps []time.Duration) time.Duration) func(args ...any) (any, error) {
	return func(args ...any) (any, error) {
		times, err := timesOf(args[0])
		if err != nil {
			return nil, err
		}
		if len(times) < 2 {
			return nil, fmt.Errorf("need at least 2 times, got %d", len(times))
		}
		slices.SortFunc(times, time.Time.Compare)
		gaps := make([]time.Duration, len(times)-1)
		for i := range gaps {
			gaps[i] = times[i+1].Sub(times[i])
		}
		return f(gaps), nil
	}
}

func timesOf(v any) ([]time.Time, error) {
	switch list := v.(type) {
	case []time.Time:
		return slices.Clone(list), nil
	case []any:
		out := make([]time.Time, len(list))
		for i, x := range list {
			t, ok := x.(time.Time)
			if !ok {
				return nil, fmt.Errorf("element %d is %T, want time.Time", i, x)
			}
			out[i] = t
		}
		return out, nil
	}
	return nil, fmt.Errorf("argument is %T, want a list of times", v)
}

func averageInterval(gaps []time.Duration) time.Duration {
	var total time.Duration
	for _, g := range gaps {
		total += g
	}
	return total / time.Duration(len(gaps))
}

func medianInterval(gaps []time.Duration) time.Duration {
	slices.Sort(gaps)
	mid := len(gaps) / 2
	if len(gaps)%2 == 1 {
		return gaps[mid]
	}
	return (gaps[mid-1] + gaps[mid]) / 2
}
