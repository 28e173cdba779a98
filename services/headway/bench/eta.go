package main

import (
	"context"
	"fmt"

	"github.com/headwayhq/headway/pkg/simulator"
)

// benchETA back-tests the estimated end on seeded batches whose progress is not linear. It needs no server.
func benchETA(context.Context, *servers) error {
	r, err := simulator.RunBackTest(1, 200)
	if err != nil {
		return err
	}
	fmt.Printf("eta: %d uneven batches, asked %d times, answered %.0f %%\n", r.Batches, r.Moments, r.Estimated*100)
	fmt.Printf("  median error of p50      %5.1f %% of the time that remained (linear: %.1f %%)\n", r.MedianError*100, r.LinearError*100)
	fmt.Printf("  ends not after p50, p90  %5.1f %%, %.1f %%\n", r.Coverage50*100, r.Coverage90*100)
	for _, word := range []string{"high", "medium", "low"} {
		fmt.Printf("  confidence %-6s %5d estimates, median error %.1f %%\n", word, r.Confidence[word].Moments, r.Confidence[word].MedianError*100)
	}
	return nil
}
