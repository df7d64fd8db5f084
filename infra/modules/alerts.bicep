@description('A word that the names of the rules begin with.')
param prefix string

@description('Where the rules lie.')
param location string

@description('Tags of the resources.')
param tags object

@description('E-mail addresses of those who are told, without blanks.')
param emails array

@description('The workspace that the app logs to.')
param workspaceId string

@description('The resources that the metric rules name: systemTopic, customTopic, hostStorage, stateStorage. Empty where there is none.')
param resourceIds object

@description('The Application Insights component.')
param componentId string

@description('Ask the app from several places whether it is well.')
param availabilityTest bool

@description('The address that is asked.')
param healthAddress string

@description('The name of that test.')
param webTestName string

@description('The name of the group of those who are told.')
param actionGroupName string

var alerts = loadJsonContent('../alerts.json')
var changes = [
  'Microsoft.Web/sites/write'
  'Microsoft.Web/sites/config/write'
  'Microsoft.Web/sites/restart/action'
  'Microsoft.Web/sites/stop/action'
  'Microsoft.Web/sites/delete'
]
var places = ['us-va-ash-azr', 'us-il-ch1-azr', 'us-ca-sjc-azr', 'us-tx-sn1-azr', 'us-fl-mia-edge']

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    groupShortName: 'emergency'
    enabled: true
    emailReceivers: [
      for (email, index) in emails: { name: 'person${index}', emailAddress: email, useCommonAlertSchema: true }
    ]
  }
}

resource logRule 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for alert in alerts.logs: {
    name: '${prefix}-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: 'Emergency calling: ${alert.name}'
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [workspaceId]
      evaluationFrequency: alert.everyMinutes == 1440 ? 'P1D' : 'PT${alert.everyMinutes}M'
      windowSize: alert.windowMinutes == 1440 ? 'P1D' : 'PT${alert.windowMinutes}M'
      // Azure keeps no state of a rule that runs less often than every 12 hours: such a one tells of it each time.
      // So does one of a line that is said once: with a state it would be "resolved" some minutes later, and nothing is.
      autoMitigate: alert.everyMinutes <= 720 && !(alert.?saidOnce ?? false)
      // On the first deployment the tables are not there yet.
      skipQueryValidation: true
      criteria: {
        allOf: [
          {
            query: join(alert.query, '\n')
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: [people.id] }
    }
  }
]

resource metricRule 'Microsoft.Insights/metricAlerts@2026-01-01' = [
  for alert in filter(alerts.metrics, each => !empty(resourceIds[each.resource])): {
    name: '${prefix}-${alert.name}'
    location: 'global'
    tags: tags
    properties: {
      description: alert.description
      severity: alert.severity
      enabled: true
      scopes: [resourceIds[alert.resource]]
      evaluationFrequency: 'PT${alert.everyMinutes}M'
      windowSize: 'PT${alert.windowMinutes}M'
      autoMitigate: true
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            name: alert.name
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: alert.namespace
            metricName: alert.metric
            timeAggregation: alert.aggregation
            operator: alert.operator
            threshold: alert.threshold
            dimensions: empty(alert.subscriptions)
              ? null
              : [
                  { name: 'EventSubscriptionName', operator: 'Include', values: alert.subscriptions }
                ]
            skipMetricValidation: true
          }
        ]
      }
      actions: [{ actionGroupId: people.id }]
    }
  }
]

resource healthTest 'Microsoft.Insights/webtests@2022-06-15' = if (availabilityTest) {
  name: webTestName
  location: location
  tags: union(tags, { 'hidden-link:${componentId}': 'Resource' })
  kind: 'standard'
  properties: {
    SyntheticMonitorId: webTestName
    Name: 'Emergency calling: health'
    Enabled: true
    Frequency: 300
    Timeout: 30
    Kind: 'standard'
    RetryEnabled: true
    Locations: [for place in places: { Id: place }]
    // HEAD would be as good, but tells less when it fails.
    Request: { RequestUrl: healthAddress, HttpVerb: 'GET', ParseDependentRequests: false }
    ValidationRules: { ExpectedHttpStatusCode: 200, SSLCheck: true, SSLCertRemainingLifetimeCheck: 7 }
  }
}

resource healthRule 'Microsoft.Insights/metricAlerts@2026-01-01' = if (availabilityTest) {
  name: '${prefix}-health'
  location: 'global'
  tags: tags
  properties: {
    description: 'The app is not well as seen from outside: its table does not answer, or nothing does.'
    severity: 0
    enabled: true
    scopes: [healthTest.id, componentId]
    evaluationFrequency: 'PT1M'
    windowSize: 'PT5M'
    autoMitigate: true
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.WebtestLocationAvailabilityCriteria'
      webTestId: healthTest.id
      componentId: componentId
      failedLocationCount: 2
    }
    actions: [{ actionGroupId: people.id }]
  }
}

// A changed setting restarts the app: whoever is on duty should know that somebody is at work.
resource changeRule 'Microsoft.Insights/activityLogAlerts@2026-01-01' = {
  name: '${prefix}-app-changed'
  location: 'global'
  tags: tags
  properties: {
    description: 'Somebody changed the function app or its settings, which restarts it.'
    enabled: true
    scopes: [resourceGroup().id]
    condition: {
      allOf: [
        { field: 'category', equals: 'Administrative' }
        { field: 'status', equals: 'Succeeded' }
        // Settings are a resource below the app; whoever only reads them writes a line too.
        { anyOf: [for operation in changes: { field: 'operationName', equals: operation }] }
      ]
    }
    actions: { actionGroups: [{ actionGroupId: people.id }] }
  }
}
