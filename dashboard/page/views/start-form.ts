/** A form that starts a run. */
import { h, labelled, section } from '../dom.ts';
import { post } from '../source.ts';

/** A run from a configuration, as config.json of another run holds it. `hrefOf` leads to its page. */
export function startForm(hrefOf: (run: string) => string): HTMLElement {
  const id = h('input', {
    required: true,
    pattern: '[a-z]([a-z0-9-]{0,61}[a-z0-9])?',
    placeholder: 'my-run',
  });
  const config = h('textarea', {
    rows: 8,
    required: true,
    spellcheck: 'false',
    placeholder: '{ "method": "iois", "data": { "source": "/data/photos" } }',
  });
  const told = h('p', { role: 'alert' });
  const form = h(
    'form',
    { class: 'start' },
    labelled('Name', id),
    labelled('Configuration (JSON)', config),
    h('button', { type: 'submit' }, 'Start run'),
    told,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    told.textContent = '';
    start(id.value, config.value).then(
      (run) => (location.hash = hrefOf(run)),
      (thrown: unknown) => (told.textContent = (thrown as Error).message),
    );
  });
  return section(
    'start',
    'Start a run',
    '',
    h('details', {}, h('summary', {}, 'From a configuration'), form),
  );
}

/** Starts a run; returns its id. */
async function start(id: string, config: string): Promise<string> {
  const made = await post<{ id: string }>('/api/runs', { id, config: JSON.parse(config) as object });
  return made.id;
}
