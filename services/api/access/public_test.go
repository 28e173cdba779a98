package access

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/headwayhq/headway/pkg/headwaytest"
)

// A public token works in every process, can't be changed, and ends with the key or the session that made it.
func TestPublicTokens(t *testing.T) {
	server := headwaytest.NATS(t)
	a, b := follow(t, server), follow(t, server)
	made, key, err := a.Create(t.Context(), Everybody(), wanted("team-a", "writer"))
	if err != nil {
		t.Fatal(err)
	}
	writer := says(t, b, key, "")
	text, expires, err := b.MakePublic(t.Context(), writer, "team-a", WantedToken{Batch: "b 1"})
	if err != nil || time.Until(expires) > time.Hour || time.Until(expires) < 59*time.Minute || len(text) > maxPublic {
		t.Fatal(err, expires, len(text))
	}
	says(t, b, text, "")
	p := says(t, a, text, "")
	if p.Public() == nil || p.Public().Batch != "b=201" || p.May(Read) != nil || p.May(Known) != nil || p.Namespaces.Default() != "team-a" || p.Namespaces.Has("team-b") {
		t.Errorf("%+v", p)
	}
	for _, action := range []Action{Inspect, Send, Operate, Manage} {
		if no := p.May(action); kindOf(no) != "public_token" {
			t.Errorf("%v: %v", action, no)
		}
	}
	if _, no := a.Holder(text); kindOf(no) != "credential_invalid" {
		t.Errorf("signs in: %v", no)
	}
	body, mac, _ := strings.Cut(strings.TrimPrefix(text, publicPrefix), ".")
	plain, _ := base64.RawURLEncoding.DecodeString(body)
	forged := base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(plain), "team-a", "team-b", 1)))
	for _, bad := range []string{publicPrefix + forged + "." + mac, publicPrefix + body + ".", publicPrefix + body, publicPrefix + "." + mac, publicPrefix, text + "x", text[:len(text)-2], text + strings.Repeat("x", maxPublic)} {
		if _, no := a.find(bad, time.Now()); kindOf(no) != "credential_invalid" {
			t.Errorf("%s: %v", bad, no)
		}
	}
	if _, no := a.find(text, expires); kindOf(no) != "credential_expired" {
		t.Errorf("at its end: %v", no)
	}
	during, done := p.During(t.Context())
	defer done()
	session, cookie := signIn(t, a, key)
	ofSession, _, err := a.MakePublic(t.Context(), session, "team-a", WantedToken{Label: "team:search", Seconds: 600})
	if err != nil {
		t.Fatal(err)
	}
	says(t, b, ofSession, "")
	if _, err := a.SignOut(t.Context(), withCookie(cookie)); err != nil {
		t.Fatal(err)
	}
	says(t, b, ofSession, "credential_ended")
	if _, err := a.Revoke(t.Context(), Everybody(), made.ID); err != nil {
		t.Fatal(err)
	}
	<-during.Done()
	says(t, b, text, "credential_ended")
	if why := Ended(during); kindOf(why) != "credential_ended" {
		t.Error(why)
	}
}

// All public tokens end when their secret is deleted.
func TestSecretOfPublicTokens(t *testing.T) {
	k := follow(t, headwaytest.NATS(t))
	_, key, err := k.Create(t.Context(), Everybody(), wanted("team-a", "writer"))
	if err != nil {
		t.Fatal(err)
	}
	writer := says(t, k, key, "")
	text, _, err := k.MakePublic(t.Context(), writer, "team-a", WantedToken{Batch: "b1"})
	if err != nil {
		t.Fatal(err)
	}
	says(t, k, text, "")
	kv, err := k.bucket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(t.Context(), signedWith); err != nil {
		t.Fatal(err)
	}
	says(t, k, text, "credential_invalid")
	again, _, err := k.MakePublic(t.Context(), writer, "team-a", WantedToken{Batch: "b1"})
	if err != nil || again == text {
		t.Fatal(err)
	}
	says(t, k, again, "")
	says(t, k, text, "credential_invalid")
}

func TestWantedPublicTokens(t *testing.T) {
	for field, w := range map[string]WantedToken{
		"batch_id":           {},
		"label":              {Label: "team"},
		"expires_in_seconds": {Batch: "b1", Seconds: 59},
	} {
		_, _, err := w.check()
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, w := range []WantedToken{{Batch: "b1", Label: "a:b"}, {Batch: "\n"}, {Label: ":b"}, {Label: "a:" + strings.Repeat("x", maxLabel)}, {Batch: "b1", Seconds: -1}, {Batch: "b1", Seconds: 43201}, {Batch: "b1", Seconds: 1 << 62}} {
		if _, _, err := w.check(); err == nil {
			t.Errorf("accepted: %+v", w)
		}
	}
}
