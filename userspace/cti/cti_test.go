package cti

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// fakeService answers requests from memory.
type fakeService struct {
	status int
	body   string
	fail   error
	asked  []string
}

func (f *fakeService) do(req *http.Request) (*http.Response, error) {
	f.asked = append(f.asked, req.URL.String()+" "+req.Header.Get("X-Api-Key"))
	if f.fail != nil {
		return nil, f.fail
	}
	return &http.Response{StatusCode: f.status, Status: http.StatusText(f.status), Body: io.NopCloser(strings.NewReader(f.body))}, nil
}

const known = `{"ip":"192.0.2.1","background_noise_score":7,"behaviors":[{"name":"ssh:bruteforce","label":"SSH"}],
"attack_details":[{"name":"crowdsecurity/ssh-bf"}],"classifications":{"false_positives":[{"name":"seo_crawler"}],"classifications":[{"name":"community-blocklist"}]},
"scores":{"last_day":{"total":4}}}`

func TestItemTellsWhatTheServiceSays(t *testing.T) {
	f := &fakeService{status: http.StatusOK, body: known}
	s := New(Config{URL: "https://cti.example.com/v2/", Key: "secret", Do: f.do, Now: time.Now})
	i, err := s.Item("::ffff:192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"https://cti.example.com/v2/smoke/192.0.2.1 secret"}; !slices.Equal(f.asked, want) {
		t.Errorf("asked %q, want %q", f.asked, want)
	}
	if !slices.Equal(i.GetBehaviors(), []string{"ssh:bruteforce"}) || !slices.Equal(i.GetAttackDetails(), []string{"crowdsecurity/ssh-bf"}) ||
		!slices.Equal(i.GetFalsePositives(), []string{"seo_crawler"}) || !slices.Equal(i.GetClassifications(), []string{communityBlocklist}) {
		t.Errorf("names differ: %+v", i)
	}
	if !i.IsFalsePositive() || !i.IsPartOfCommunityBlocklist() || i.GetBackgroundNoiseScore() != 7 || i.GetMaliciousnessScore() != 1 {
		t.Errorf("judgements differ: %+v", i)
	}
	i.Classifications.Classifications = nil
	if got := i.GetMaliciousnessScore(); got != 0.4 {
		t.Errorf("score off the list = %v", got)
	}
}

func TestAnswersAreRememberedForAWhile(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	f := &fakeService{status: http.StatusNotFound}
	s := New(Config{Do: f.do, Now: func() time.Time { return now }})
	for range 3 {
		i, err := s.Item("192.0.2.1")
		if err != nil || i.GetMaliciousnessScore() != 0 || i.GetBackgroundNoiseScore() != 0 || i.IsFalsePositive() || i.IsPartOfCommunityBlocklist() {
			t.Errorf("an address that nobody knows gives %+v, %v", i, err)
		}
	}
	if len(f.asked) != 1 {
		t.Errorf("asked %d times, want once", len(f.asked))
	}
	now = now.Add(keep)
	if _, err := s.Item("192.0.2.1"); err != nil || len(f.asked) != 2 {
		t.Errorf("asked %d times after the answer was too old: %v", len(f.asked), err)
	}
}

func TestAServiceThatRefusesIsLeftAlone(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	for _, tt := range []struct {
		status int
		want   error
		later  error
	}{
		{http.StatusForbidden, ErrDisabled, ErrDisabled},
		{http.StatusTooManyRequests, ErrLimited, nil},
	} {
		f := &fakeService{status: tt.status}
		at := now
		s := New(Config{Do: f.do, Now: func() time.Time { return at }})
		for range 2 {
			if _, err := s.Item("192.0.2.1"); !errors.Is(err, tt.want) {
				t.Errorf("status %d: err = %v", tt.status, err)
			}
		}
		if len(f.asked) != 1 {
			t.Errorf("status %d: asked %d times, want once", tt.status, len(f.asked))
		}
		at, f.status, f.body = now.Add(backOff), http.StatusOK, "{}"
		if _, err := s.Item("192.0.2.1"); !errors.Is(err, tt.later) {
			t.Errorf("status %d: err = %v after the pause", tt.status, err)
		}
	}
}

func TestFailuresAreErrorsAndNotRemembered(t *testing.T) {
	f := &fakeService{status: http.StatusInternalServerError}
	s := New(Config{Do: f.do, Now: time.Now})
	for _, set := range []func(){
		func() {}, func() { f.fail = errors.New("no route") }, func() { f.fail, f.status, f.body = nil, http.StatusOK, "{" },
		func() { f.body = `{"ip":"` + strings.Repeat("a", maxAnswer) + `"}` },
	} {
		set()
		if _, err := s.Item("192.0.2.1"); err == nil {
			t.Error("a failure gives no error")
		}
	}
	if len(f.asked) != 4 {
		t.Errorf("asked %d times, want every time", len(f.asked))
	}
	if _, err := s.Item("example.com"); err == nil || len(f.asked) != 4 {
		t.Errorf("text that is no address: err = %v", err)
	}
}

func FuzzItem(f *testing.F) {
	f.Add(known)
	f.Add(`{"scores":{"last_day":{"total":-3}},"behaviors":[null]}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := New(Config{Do: (&fakeService{status: http.StatusOK, body: body}).do, Now: time.Now})
		i, err := s.Item("192.0.2.1")
		if err != nil {
			return
		}
		if score := i.GetMaliciousnessScore(); score < 0 || len(i.GetBehaviors()) != len(i.Behaviors) {
			t.Errorf("score %v, behaviors %v", score, i.GetBehaviors())
		}
	})
}
