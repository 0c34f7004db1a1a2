'use strict'
// The page is whole without this: it filters, sorts, opens details beside the grid, and keeps all of that in the address's hash.
{
  const by = id => document.getElementById(id)
  const root = document.documentElement
  const grid = by('grid')
  const body = grid.tBodies[0]
  const form = by('filters')
  const drawer = by('drawer')
  const slot = by('slot')
  const chips = [...form.querySelectorAll('[data-o]')]
  const letters = new Map(chips.map(chip => [chip.dataset.o, chip.classList[0]]))
  const controls = ['q', 'w', 'v', 'sort'].map(by).filter(Boolean)
  const columns = [...grid.tHead.rows[0].querySelectorAll('.o')].map(head => head.textContent)
  const lines = [...body.rows].map((row, place) => {
    const link = row.querySelector('th a')
    return {
      row, place, name: link.textContent, id: link.getAttribute('href').slice(1), text: row.textContent.toLowerCase(),
      outcomes: row.dataset.o, framework: row.querySelector('.w').textContent, cells: [...row.querySelectorAll('td.o')], took: Number(row.dataset.d),
      health: row.dataset.h === '' ? 101 : Number(row.dataset.h)
    }
  })
  const details = document.querySelectorAll('#details>noscript')
  const sources = new Map(lines.map((line, place) => [line, details[place]]))
  const byName = new Map(lines.map(line => [line.name, line]))
  const byId = new Map(lines.map(line => [line.id, line]))
  const collator = new Intl.Collator('en', { numeric: true })
  const orders = {
    name: (a, b) => collator.compare(a.name, b.name), slow: (a, b) => b.took - a.took, health: (a, b) => a.health - b.health
  }
  let home = null
  let order = ''

  root.classList.add('js')
  form.hidden = lines.length === 0

  const read = () => new URLSearchParams(location.hash.slice(1))
  const written = state => {
    for (const [key, value] of [...state]) if (value === '') state.delete(key)
    return '#' + state
  }
  // A step of the history, or none while somebody types.
  const go = (state, isStep = true) => {
    const hash = written(state)
    if (isStep) {
      if (hash !== (location.hash || '#')) location.hash = hash
    } else {
      try { history.replaceState(null, '', hash) } catch { location.hash = hash }
      show()
    }
  }
  const changed = (changes, isStep) => {
    const state = read()
    for (const [key, value] of Object.entries(changes)) state.set(key, value)
    go(state, isStep)
  }

  function filter (state) {
    const outcomes = new Set((state.get('outcome') ?? '').split(',').map(word => letters.get(word)).filter(Boolean))
    const words = (state.get('q') ?? '').toLowerCase().split(/\s+/).filter(Boolean)
    const framework = state.get('framework') ?? ''
    const column = columns.indexOf(state.get('version') ?? '')
    let count = 0
    for (const line of lines) {
      const cells = [line.cells[column]]
      // Of all versions, those without a column too.
      const own = column < 0 ? [...line.outcomes] : cells.map(cell => cell.classList[1]).filter(letter => letter !== 'none')
      const isShown = own.some(letter => outcomes.size === 0 || outcomes.has(letter)) &&
        (framework === '' || line.framework === framework) && words.every(word => line.text.includes(word))
      line.row.hidden = !isShown
      count += isShown
    }
    const cells = [...grid.tHead.rows, ...body.rows]
    for (const row of cells) {
      [...row.querySelectorAll('.o')].forEach((cell, place) => { cell.hidden = column >= 0 && place !== column })
    }
    grid.classList.toggle('one', column >= 0)
    chips.forEach(chip => chip.setAttribute('aria-pressed', outcomes.has(chip.classList[0])))
    const isFiltered = outcomes.size > 0 || words.length > 0 || framework !== '' || column >= 0
    by('clear').hidden = !isFiltered
    by('count').textContent = isFiltered ? `${count} of ${lines.length} examples` : `${lines.length} examples`
    by('nothing').hidden = count > 0
    grid.hidden = count === 0
  }

  function sort (wanted) {
    if (wanted === order) return
    order = wanted
    const sorted = [...lines].sort((a, b) => (orders[order]?.(a, b) ?? 0) || a.place - b.place)
    body.append(...sorted.map(line => line.row))
  }

  // To who has a script, details are text of the page until they are wanted: so that it opens at once, however many there are.
  function made (line) {
    const place = document.createElement('template')
    place.innerHTML = sources.get(line).textContent
    return place.content.firstElementChild
  }

  function open (line, version) {
    const article = home?.line === line ? home.article : made(line)
    if (home?.line !== line) {
      home = { line, article }
      slot.replaceChildren(article)
      commands(article)
      by('drawer-title').textContent = `Details of ${line.name}`
    }
    if (!drawer.open) drawer.showModal()
    slot.scrollTop = 0
    const cells = [...article.querySelectorAll('.c')]
    const here = cells.find(cell => cell.querySelector('b').textContent === version)
    for (const cell of cells) {
      cell.classList.toggle('here', cell === here && cells.length > 1)
      if (here && cell.localName === 'details') cell.open = cell === here
    }
    // Of many versions the one that is meant may be far below.
    const below = here ? here.getBoundingClientRect().top - slot.getBoundingClientRect().top : 0
    if (below > slot.clientHeight / 2) slot.scrollTop += below - article.querySelector('header').offsetHeight - 10
    slot.focus({ preventScroll: true })
  }

  function close () {
    const line = home?.line
    home = null
    slot.replaceChildren()
    if (drawer.open) drawer.close()
    line?.row.querySelector('th a').focus({ preventScroll: true })
  }

  // What can be copied gets a button; without the clipboard it is selected.
  function copy (text, button) {
    const said = button.textContent
    const tell = word => {
      button.textContent = word
      setTimeout(() => { button.textContent = said }, 1500)
    }
    const copied = navigator.clipboard?.writeText(text)
    if (copied) copied.then(() => tell('Copied'), () => tell('Not allowed'))
    else tell('Not allowed')
  }
  function commands (article) {
    for (const again of article.querySelectorAll('.again')) {
      if (again.querySelector('button')) continue
      const button = document.createElement('button')
      button.type = 'button'
      button.textContent = 'Copy'
      button.addEventListener('click', () => copy(again.querySelector('code').textContent, button))
      again.append(button)
    }
  }

  // Anchors of a page without this script, and links of the page itself, become what stands in the hash.
  function anchor (hash) {
    const [, id] = /^#(x\d+)(?:-\d+)?$/.exec(hash) ?? []
    const line = byId.get(id)
    if (!line) return null
    const cell = line.cells.find(cell => cell.querySelector('a')?.getAttribute('href') === hash)
    return { example: line.name, on: cell?.dataset.v ?? '' }
  }

  function show () {
    const found = anchor(location.hash)
    if (found) return changed(found, false)
    if (by(location.hash.slice(1)) && !location.hash.includes('=')) return
    const state = read()
    for (const [id, key] of [['q', 'q'], ['w', 'framework'], ['v', 'version'], ['sort', 'sort']]) {
      const control = by(id)
      if (control && document.activeElement !== control) control.value = state.get(key) ?? ''
      if (control?.selectedIndex === -1) control.selectedIndex = 0
    }
    filter(state)
    sort(state.get('sort') ?? '')
    const line = byName.get(state.get('example'))
    if (line) open(line, state.get('on') ?? '')
    else close()
  }

  function step (by) {
    const shown = [...body.rows].filter(row => !row.hidden).map(row => lines.find(line => line.row === row))
    const next = shown[shown.indexOf(home?.line) + by]
    if (next) changed({ example: next.name, on: '' }, false)
  }

  document.addEventListener('click', event => {
    const link = event.target.closest('a')
    const found = link ? anchor(link.getAttribute('href') ?? '') : null
    if (found) {
      event.preventDefault()
      changed(found)
    } else if (!link && event.target.closest('#grid tbody tr') && !String(getSelection())) {
      changed(anchor(event.target.closest('tr').querySelector('th a').getAttribute('href')))
    }
  })
  chips.forEach(chip => chip.addEventListener('click', () => {
    const outcomes = new Set((read().get('outcome') ?? '').split(',').filter(word => letters.has(word)))
    if (!outcomes.delete(chip.dataset.o)) outcomes.add(chip.dataset.o)
    changed({ outcome: [...outcomes].join(',') })
  }))
  by('q').addEventListener('input', event => changed({ q: event.target.value }, false))
  for (const [id, key] of [['w', 'framework'], ['v', 'version'], ['sort', 'sort']]) {
    by(id)?.addEventListener('change', event => changed({ [key]: event.target.value }))
  }
  form.addEventListener('submit', event => event.preventDefault())
  form.addEventListener('reset', event => {
    event.preventDefault()
    controls.forEach(control => { control.value = '' })
    go(new URLSearchParams())
  })
  by('close').addEventListener('click', () => changed({ example: '', on: '' }))
  by('prev').addEventListener('click', () => step(-1))
  by('next').addEventListener('click', () => step(1))
  by('link').addEventListener('click', event => copy(location.href, event.currentTarget))
  drawer.addEventListener('cancel', event => {
    event.preventDefault()
    changed({ example: '', on: '' })
  })
  drawer.addEventListener('click', event => { if (event.target === drawer) changed({ example: '', on: '' }) })
  document.addEventListener('keydown', event => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return
    if (event.key === '/' && !drawer.open) {
      event.preventDefault()
      by('q').focus()
    } else if (drawer.open && (event.key === 'j' || event.key === 'k')) {
      step(event.key === 'j' ? 1 : -1)
    } else if (!drawer.open && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      move(event)
    }
  })
  // From one example to the next, where one has the focus.
  function move (event) {
    const row = event.target.closest?.('#grid tbody tr')
    if (!row) return
    const index = [...row.querySelectorAll('a')].indexOf(event.target)
    let next = row
    do next = event.key === 'ArrowDown' ? next.nextElementSibling : next.previousElementSibling
    while (next?.hidden)
    if (!next) return
    event.preventDefault()
    const links = [...next.querySelectorAll('a')]
    links[Math.min(Math.max(index, 0), links.length - 1)].focus()
  }

  // The theme: what the system says, unless somebody chose.
  const themes = ['auto', 'light', 'dark']
  const button = by('theme')
  const theme = name => {
    if (name === 'auto') delete root.dataset.theme
    else root.dataset.theme = name
    button.textContent = `Theme: ${name}`
  }
  let kept = 'auto'
  try { kept = localStorage.getItem('example-validator-theme') ?? 'auto' } catch { /* A page of an artifact may keep nothing. */ }
  if (!themes.includes(kept)) kept = 'auto'
  theme(kept)
  button.hidden = false
  button.addEventListener('click', () => {
    kept = themes[(themes.indexOf(kept) + 1) % themes.length]
    theme(kept)
    try { localStorage.setItem('example-validator-theme', kept) } catch { /* As above. */ }
  })

  // On paper there is what went wrong of what is shown, in full.
  const printed = by('printed')
  addEventListener('beforeprint', () => {
    printed.replaceChildren(...lines.filter(line => !line.row.hidden && line.row.matches('.bad,.warn')).map(made))
  })
  addEventListener('afterprint', () => printed.replaceChildren())

  slot.tabIndex = -1
  addEventListener('hashchange', show)
  show()
}
