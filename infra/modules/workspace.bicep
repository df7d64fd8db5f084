@description('The name of the workspace.')
param name string

@description('Where it lies.')
param location string

@description('Tags of the resource.')
param tags object

@description('Days until a log line is deleted.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Gigabytes a day beyond which nothing more is taken in; -1 for no bound.')
param dailyCapGb int

@description('The rule that every line passes before it is kept; empty where it is not there yet.')
param transformationId string

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-07-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: retentionDays
    workspaceCapping: { dailyQuotaGb: dailyCapGb }
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
    defaultDataCollectionRuleResourceId: empty(transformationId) ? null : transformationId
  }
}

output id string = workspace.id
