// The tab's icon says how many batches are stuck. The content security policy allows no icon that is made here, so each is a file.
const files = import.meta.glob<string>('../icons/*.svg', { eager: true, query: '?url', import: 'default' });

const nameOf = (stuck: number): string => (stuck === 0 ? 'none' : stuck > 9 ? 'many' : String(stuck));

export function showIcon(stuck: number): void {
  const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]');
  const file = files[`../icons/${nameOf(stuck)}.svg`];
  if (link && file && link.href !== file) link.href = file;
}
