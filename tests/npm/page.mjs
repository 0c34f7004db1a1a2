// The pages of the folder of the first argument in the Chromium of the second. What is not as it is meant ends it with an error; with
// PICTURES it leaves a picture of every view beside the pages.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import puppeteer from 'puppeteer-core'

const [folder, executablePath] = process.argv.slice(2)
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const WIDE = { width: 1280, height: 900 }
const PHONE = { width: 390, height: 780, isMobile: true, hasTouch: true }
const browser = await puppeteer.launch({ executablePath, headless: true, args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb'] })

// A page of its own: what it complains of, loads or asks is held against it.
async function opened (name, { hash = '', viewport = WIDE, theme = 'light', script = true } = {}) {
  const context = await browser.createBrowserContext()
  const page = await context.newPage()
  const trouble = []
  page.on('console', message => trouble.push(`console: ${message.text()}`))
  page.on('pageerror', error => trouble.push(`error: ${error.message}`))
  page.on('dialog', dialog => { trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss() })
  page.on('request', request => {
    if (!request.isNavigationRequest() && !request.url().startsWith('data:')) trouble.push(`request: ${request.url()}`)
  })
  await page.setViewport(viewport)
  await page.setJavaScriptEnabled(script)
  await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: 'reduce' }])
  await page.goto(pathToFileURL(path.join(folder, `${name}.html`)) + hash)
  return Object.assign(page, { trouble, done: async () => { assert.deepEqual(trouble, [], name); await context.close() } })
}

async function picture (page, name, options = {}) {
  if (process.env.PICTURES) await page.screenshot({ path: path.join(folder, `${name}.png`), ...options })
}

const shown = page => page.$$eval('#grid tbody tr:not([hidden]) th a', links => links.map(link => link.textContent))
const hash = page => page.evaluate(() => decodeURIComponent(location.hash))
const said = page => page.$eval('#count', count => count.textContent)
const drawer = page => page.$eval('#drawer', drawer => drawer.open ? drawer.querySelector('article h3').textContent : '')
const until = (page, what, ...rest) => page.waitForFunction(what, { timeout: 60_000 }, ...rest)

// No part of the page is wider than the window.
async function fits (page, name) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
  assert.ok(wide <= window, `${name}: ${wide} is wider than ${window}`)
}

// Neither a person who can't see it nor one who sees little is kept out.
async function isAccessible (page, name) {
  // What is injected here is the test's own; the page's policy is tried apart.
  await page.evaluate(axe)
  const found = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice'] }))
  const told = found.violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.slice(0, 3).map(node => node.html.slice(0, 160) + ' ' + (node.any[0]?.message ?? '')).join('\n  ')}`)
  assert.deepEqual(told, [], name)
}

async function everyPage () {
  for (const name of ['kubeflow', 'good', 'static', 'simulated', 'twenty', 'nothing', 'hostile']) {
    for (const theme of ['light', 'dark']) {
      const page = await opened(name, { theme })
      await fits(page, name)
      if (name !== 'hostile') await isAccessible(page, `${name}, ${theme}`)
      await picture(page, `${name}-${theme}`, { fullPage: name !== 'hostile' })
      await page.done()
    }
    const phone = await opened(name, { viewport: PHONE })
    await fits(phone, `${name} on a phone`)
    await picture(phone, `${name}-phone`, { fullPage: name !== 'hostile' })
    await phone.done()
  }
}

async function filters () {
  const page = await opened('kubeflow')
  const all = await shown(page)
  assert.equal(all.length, 30)
  assert.equal(await said(page), '30 examples')
  assert.match(all[0], /estimator-API|qwen2_5|mpi/)
  await page.click('[data-o=failed]')
  await until(page, () => location.hash === '#outcome=failed')
  assert.equal((await shown(page)).length, 3)
  assert.equal(await said(page), '3 of 30 examples')
  await page.select('#v', 'v1.34.0')
  await until(page, () => location.hash.includes('version='))
  assert.equal(await page.$$eval('#grid thead .o:not([hidden])', heads => heads.length), 1)
  await page.select('#w', 'trainjob')
  await until(page, () => location.hash.includes('framework='))
  assert.deepEqual(await shown(page), ['examples/v2/torchtune/qwen2_5/trainjob.yaml'])
  await page.reload()
  assert.deepEqual(await shown(page), ['examples/v2/torchtune/qwen2_5/trainjob.yaml'])
  assert.equal(await page.$eval('#v', select => select.value), 'v1.34.0')
  assert.equal(await page.$eval('[data-o=failed]', chip => chip.getAttribute('aria-pressed')), 'true')
  await page.goBack()
  await until(page, () => !location.hash.includes('framework='))
  assert.equal((await shown(page)).length, 3)
  await page.goForward()
  await until(page, () => location.hash.includes('framework='))
  assert.equal((await shown(page)).length, 1)
  await page.click('#clear')
  await until(page, () => !location.hash.includes('='))
  assert.equal((await shown(page)).length, 30)
  await page.keyboard.press('/')
  await page.keyboard.type('OOMKilled MNIST')
  assert.deepEqual(await shown(page), ['examples/pytorch/mnist/v1/pytorch_job_mnist_mpi.yaml'])
  assert.equal(await hash(page), '#q=OOMKilled+MNIST')
  await page.keyboard.type(' no such thing')
  assert.ok(await page.$eval('#nothing', text => !text.hidden))
  await page.$eval('#q', field => { field.value = ''; field.dispatchEvent(new Event('input', { bubbles: true })) })
  await page.select('#sort', 'name')
  await until(page, () => location.hash.includes('sort=name'))
  assert.equal((await shown(page))[0], 'examples/jax/cpu-demo/demo.yaml')
  await page.done()
}

// Twenty versions are all there, to be seen, chosen and filtered by.
async function versions () {
  const page = await opened('twenty')
  assert.equal(await page.$$eval('#grid thead .o', heads => heads.length), 20)
  assert.equal(await page.$$eval('#v option', options => options.length), 21)
  await page.click('[data-o=failed]')
  await until(page, () => location.hash === '#outcome=failed')
  assert.ok((await shown(page)).includes('examples/paddlepaddle/simple-cpu.yaml'))
  await page.select('#v', 'v1.20.0')
  await until(page, () => location.hash.includes('version='))
  assert.ok(!(await shown(page)).includes('examples/paddlepaddle/simple-cpu.yaml'))
  await page.select('#v', 'v1.34.0')
  await until(page, () => location.hash.includes('v1.34.0'))
  assert.ok((await shown(page)).includes('examples/paddlepaddle/simple-cpu.yaml'))
  await page.click('#clear')
  await until(page, () => !location.hash.includes('='))
  await page.$eval('.sideways', box => { box.scrollLeft = box.scrollWidth })
  const [name, last] = await page.evaluate(() => ['#grid tbody th', '#grid tbody td.h'].map(one => document.querySelector(one).getBoundingClientRect().x))
  assert.ok(name > 0 && name < 100 && last < WIDE.width, `${name} ${last}`)
  await picture(page, 'twenty-scrolled')
  await page.evaluate(() => [...document.querySelectorAll('#grid td.f a')].find(link => link.closest('tr').textContent.includes('simple-cpu')).click())
  await until(page, () => document.getElementById('drawer').open)
  assert.equal(await page.$eval('#slot .here b', version => version.textContent), 'v1.34.0')
  assert.ok(await page.$eval('#slot .here', cell => { const { top } = cell.getBoundingClientRect(); return top > 100 && top < innerHeight / 2 }))
  assert.ok(await page.$eval('#close', button => button.getBoundingClientRect().top > 0))
  const log = await page.$eval('#slot .here .log', log => log.textContent)
  assert.equal(log, 'panic: no route\n    main.go:12 +0x1d\na   b   c\n^[[31mred^[[0m ^?')
  await picture(page, 'twenty-details')
  await page.done()
}

async function details () {
  const page = await opened('kubeflow')
  await page.focus('#grid tbody tr:first-child th a')
  const name = (await shown(page))[0]
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('Enter')
  await until(page, () => document.getElementById('drawer').open)
  assert.equal(await drawer(page), name)
  assert.equal(await hash(page), `#example=${name}`)
  await isAccessible(page, 'the details')
  await page.keyboard.press('j')
  assert.equal(await drawer(page), (await shown(page))[1])
  await page.keyboard.press('Escape')
  await until(page, () => !document.getElementById('drawer').open)
  assert.equal(await page.evaluate(() => document.activeElement.closest('tr')?.rowIndex), 2)
  await page.goBack()
  await until(page, () => document.getElementById('drawer').open)
  await page.click('#close')
  await page.click('tr.bad td.f a')
  await until(page, () => location.hash.includes('on='))
  assert.ok(await page.$eval('#slot .c.here', cell => cell.open))
  const permalink = await page.evaluate(() => location.hash)
  await page.done()
  for (const [theme, viewport] of [['light', WIDE], ['dark', WIDE], ['light', PHONE]]) {
    const again = await opened('kubeflow', { hash: permalink, theme, viewport })
    assert.notEqual(await drawer(again), '')
    await fits(again, 'the details')
    await picture(again, `details-${theme}-${viewport.width}`)
    await again.done()
  }
  const oom = await opened('kubeflow', { hash: '#example=examples/pytorch/mnist/v1/pytorch_job_mnist_mpi.yaml&on=v1.33.4', viewport: { width: 1280, height: 2400 } })
  await picture(oom, 'details-long')
  await oom.done()
}

// The theme that somebody chose stays.
async function themes () {
  const page = await opened('kubeflow', { theme: 'light' })
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
  const light = await ground()
  await page.click('#theme')
  assert.equal(await ground(), light)
  await page.click('#theme')
  const dark = await ground()
  assert.notEqual(dark, light)
  await page.reload()
  assert.equal(await ground(), dark)
  await page.done()
}

async function withoutScript () {
  const page = await opened('kubeflow', { script: false })
  const told = await page.$eval('#details', section => section.getBoundingClientRect().height > 1_000)
  assert.ok(told)
  assert.equal(await page.$eval('#filters', form => form.hidden), true)
  await page.click('tr.bad td.f a')
  assert.match(await hash(page), /^#x\d+-\d+$/)
  await fits(page, 'without a script')
  await page.done()
}

async function print () {
  const page = await opened('kubeflow')
  await page.emulateMediaType('print')
  await page.evaluate(() => dispatchEvent(new Event('beforeprint')))
  assert.equal(await page.$eval('#filters', form => getComputedStyle(form).display), 'none')
  const open = await page.$$eval('#details .ex.bad', articles => articles.map(article => article.getBoundingClientRect().height > 100))
  assert.ok(open.length > 2 && open.every(Boolean))
  assert.equal(await page.$$eval('#details .ex.ok', articles => articles.length), 0)
  if (process.env.PICTURES) await page.pdf({ path: path.join(folder, 'print.pdf'), format: 'A4' })
  await page.done()
}

// What others wrote does nothing, not even if it had got into the page as markup.
async function hostile () {
  const page = await opened('hostile')
  await page.evaluate(() => document.querySelectorAll('details').forEach(one => { one.open = true }))
  await page.hover('#grid tbody tr th a')
  await page.click('#grid tbody tr th a')
  await until(page, () => document.getElementById('drawer').open)
  await picture(page, 'hostile-details')
  assert.equal(await page.evaluate(() => window.pwned), undefined)
  const others = await page.$$eval('script, iframe, img, form, base, meta, object, math, a[href]', found => found
    .filter(one => !['SCRIPT', 'META'].includes(one.tagName) || one.closest('#slot'))
    .filter(one => !(one.tagName === 'A' && /^#/.test(one.getAttribute('href'))) && one.id !== 'filters')
    .map(one => one.outerHTML.slice(0, 200)))
  assert.deepEqual(others, [])
  assert.equal(await page.$$eval('script', scripts => scripts.length), 1)
  await page.done()

  const policy = await opened('kubeflow')
  await policy.evaluate(() => {
    const place = document.createElement('div')
    place.innerHTML = '<img src="https://evil.example/x" onerror="window.pwned = 1"><b style="color:red">x</b><a id="evil" href="javascript:window.pwned = 1">x</a>'
    document.body.append(place)
    const script = document.createElement('script')
    script.textContent = 'window.pwned = 1'
    document.body.append(script)
    document.getElementById('evil').click()
  })
  await new Promise(resolve => setTimeout(resolve, 50))
  assert.equal(await policy.evaluate(() => window.pwned), undefined)
  assert.ok(policy.trouble.length >= 4 && policy.trouble.every(text => /Content Security Policy|request: https:\/\/evil/.test(text)), policy.trouble.join('\n'))
}

async function crowd () {
  const page = await opened('crowd')
  assert.equal((await shown(page)).length, 1_000)
  const times = await page.evaluate(() => {
    const [load] = performance.getEntriesByType('navigation')
    const paint = performance.getEntriesByName('first-contentful-paint')[0]
    return { interactive: Math.round(load.domInteractive), loaded: Math.round(load.loadEventEnd), paint: Math.round(paint?.startTime ?? 0) }
  })
  await page.click('[data-o=failed]')
  await until(page, () => location.hash === '#outcome=failed')
  assert.equal((await shown(page)).length, 100)
  await picture(page, 'crowd')
  await page.done()
  console.log(`1,000 examples on 4 versions, in milliseconds: ${JSON.stringify(times)}`)
}

try {
  for (const check of [everyPage, filters, versions, details, themes, withoutScript, print, hostile, crowd]) {
    await check()
    console.log(`${check.name}: as it is meant`)
  }
} finally {
  await browser.close()
}
