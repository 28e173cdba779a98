// The server's texts as a reader wants them: resources in words, moments in the zone chosen.
import { computed } from '@preact/signals';
import { inZone, readable } from '../lib/reason';
import { moment } from '../lib/time';
import { second } from '../state/clock';
import { zone } from '../state/prefs';

/** Changes with the hour only: a moment is written anew when its day does. */
const hour = computed(() => new Date(second.value).setMinutes(0, 0, 0));

export const when = (t: Date): string => moment(t, new Date(hour.value), zone.value);

export const told = (text: string): string => inZone(readable(text), when);
